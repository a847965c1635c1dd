/** The part of Web Crypto that tokens with a secret need. Its promises need no event of their own, unlike the real ones. */
import { createHash, createHmac } from "node:crypto";

interface Key {
  bytes: Uint8Array;
}

async function digest(_: string, bytes: Uint8Array): Promise<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest()).buffer;
}

async function importKey(_: string, bytes: Uint8Array, __: object, extractable: boolean, usages: string[]) {
  const algorithm = { name: "HMAC", hash: { name: "SHA-256" }, length: bytes.length * 8 };
  return { bytes, algorithm, extractable, usages, type: "secret", [Symbol.toStringTag]: "CryptoKey" };
}

async function verify(_: unknown, { bytes }: Key, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  return createHmac("sha256", bytes).update(data).digest().equals(signature);
}

export const crypto = { subtle: { digest, importKey, verify } };

/** Returns a token. @param secret the key of its signature */
export function signed(claims: object, secret: string): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const text = `${encode({ alg: "HS256" })}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
