export { encodeValue, encodeValues } from "./encode.js";
export { decodeValue, decodeValues, type DecodeOptions } from "./decode.js";
