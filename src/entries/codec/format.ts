/*
 * The value format, version 1. It belongs to the envelope's format version: change a byte here and that
 * version must grow, because stored entries are read for ever (test/fixtures/entries).
 *
 * A message is one value or a sequence of values. Each begins with a tag byte; numbers are little-endian; a
 * *length* is an unsigned LEB128 varint of at most 5 bytes, below 2^32.
 *
 *   00–7f  the integer 0–127                    c0  undefined         c1  null     c2  false     c3  true
 *   80–9f  one-byte text of 0–31 characters     c4  int16             c5  int32    c6  float64
 *   a0–af  array of 0–15 items                  c8  one-byte text     length, Latin-1 bytes
 *   b0–bf  object of shape 0–15, its values     c9  UTF-8 text        length in bytes, well-formed
 *                                               ca  UTF-16 text       length in units, little-endian
 *   cb  array           length, items
 *   cc  new shape       u16 bytes of what follows up to the values: length, that many texts (the keys); then an
 *                       object's values in that order. It takes the message's next shape number, from 0.
 *   cd  object          length, then key and value in turn (no shape: many keys, or every number is taken)
 *   ce  shape           u8 shape number, values
 *   d0  bigint          length << 1 | negative, magnitude big-endian
 *   d1  Date            float64 milliseconds, NaN when invalid
 *   d2  Map             length, then key and value in turn        d3  Set   length, items
 *   d4  Uint8Array      length, bytes                             d6  ArrayBuffer   length, bytes
 *   d5  typed array     u8 index in TYPED_ARRAYS, length in bytes, bytes
 *
 * Text has three forms because V8 has two: what fits one byte a character is copied as it is; the rest is
 * UTF-8 where that is shorter than UTF-16 and the text is well-formed, so that a curly quote does not double a
 * page of English and a lone surrogate still comes back as itself.
 */

export const TAG_TEXT = 0x80;
export const TAG_ARRAY = 0xa0;
export const TAG_SHAPE = 0xb0;
export const TAG_UNDEFINED = 0xc0;
export const TAG_NULL = 0xc1;
export const TAG_FALSE = 0xc2;
export const TAG_TRUE = 0xc3;
export const TAG_INT16 = 0xc4;
export const TAG_INT32 = 0xc5;
export const TAG_FLOAT64 = 0xc6;
export const TAG_LATIN1 = 0xc8;
export const TAG_UTF8 = 0xc9;
export const TAG_UTF16 = 0xca;
export const TAG_LONG_ARRAY = 0xcb;
export const TAG_NEW_SHAPE = 0xcc;
export const TAG_OBJECT = 0xcd;
export const TAG_HIGH_SHAPE = 0xce;
export const TAG_BIGINT = 0xd0;
export const TAG_DATE = 0xd1;
export const TAG_MAP = 0xd2;
export const TAG_SET = 0xd3;
export const TAG_BYTES = 0xd4;
export const TAG_TYPED_ARRAY = 0xd5;
export const TAG_ARRAY_BUFFER = 0xd6;

/** Containers inside one another, the outermost counted. */
export const MAX_DEPTH: number = 128;
/** Bytes of one encoded value, and of one sealed value's heap. */
export const MAX_VALUE_BYTES: number = 128 * 1024 * 1024;
/**
 * Containers in one value, each counted as often as it is met. It ends the walk through a value that shares its parts
 * so often that it would be written out exponentially.
 */
export const MAX_CONTAINERS: number = 1_000_000;
/** Bytes of a bigint's magnitude: 2^20 bits, some 315,000 decimal digits. */
export const MAX_BIGINT_BYTES: number = 131_072;
/** Shapes in one message: the number is one byte. */
export const MAX_SHAPES: number = 256;
/** Keys of an object that is written by shape; with more it is a dictionary, whose keys seldom come twice. */
export const MAX_SHAPE_KEYS: number = 64;
