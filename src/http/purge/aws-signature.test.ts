import { describe, expect, it } from "vitest";
import { awsSigned } from "./aws-signature.js";

const CREDENTIALS = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const TIME = Date.UTC(2015, 7, 30, 12, 36, 0);

describe("the AWS signature", () => {
  it("is that of the published test suite (get-vanilla)", () => {
    const url = new URL("https://example.amazonaws.com/");
    const request = { method: "GET", url, headers: {}, body: "", region: "us-east-1", service: "service", time: TIME };
    const { authorization } = awsSigned(request, CREDENTIALS);
    expect(authorization).toBe(
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    );
  });

  it("is that of the documentation's example with a query and a header", () => {
    const url = new URL("https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers");
    const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
    const request = { method: "GET", url, headers, body: "", region: "us-east-1", service: "iam", time: TIME };
    expect(awsSigned(request, CREDENTIALS)["authorization"]).toMatch(
      /SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/,
    );
  });

  it("covers the body, and names the token of temporary keys", () => {
    const url = new URL("https://example.amazonaws.com/a");
    const of = (body: string, sessionToken?: string) =>
      awsSigned(
        { method: "POST", url, headers: {}, body, region: "us-east-1", service: "service", time: TIME },
        { ...CREDENTIALS, sessionToken },
      );
    expect(of("a")["authorization"]).not.toBe(of("b")["authorization"]);
    expect(of("a", "token")["x-amz-security-token"]).toBe("token");
    expect(of("a", "token")["authorization"]).toContain("SignedHeaders=host;x-amz-date;x-amz-security-token");
  });
});
