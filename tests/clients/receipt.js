// Opens a receipt by what docs/reference/receipts.md says of its form: node receipt.js KEY_FILE RECEIPT
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');

const [keyFile, text] = process.argv.slice(2);
const bytes = Buffer.from(text, 'base64url');
const fleet = Buffer.from(crypto.hkdfSync('sha256', fs.readFileSync(keyFile), 'portcullis receipts', '1', 32));
const [salt, nonce, sealed, tag] = [bytes.subarray(0, 8), bytes.subarray(8, 20), bytes.subarray(20, -16), bytes.subarray(-16)];
// HKDF-Expand alone: one block is enough for 32 bytes.
const key = crypto.createHmac('sha256', fleet).update(salt).update(Buffer.from([1])).digest();
const opening = crypto.createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(tag);
const record = Buffer.concat([opening.update(sealed), opening.final()]);

let at = 0;
const take = (length) => record.subarray(at, (at += length));
const mark = (text) => {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
};
const address = (octets) => {
  const mapped = octets.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'));
  return mapped ? octets.subarray(12).join('.') : octets.toString('hex').match(/.{4}/g).join(':');
};
const time = take(6).readUIntBE(0, 6);
const revision = take(6).readUIntBE(0, 6);
const flags = take(1)[0];
const client = take(16);
const peer = take(16);
const credential = take(12).toString('hex');
const organization = take(12).toString('hex');
const [code, reason, route] = [0, 0, 0].map(() => take(4).readUInt32BE(0));
const codes = ['ORG_REQUIRES_ACCESS_LIST', 'IP_ADDRESS_NOT_ON_ACCESS_LIST', 'INVALID_CREDENTIALS'];
if (at !== record.length || Math.abs(Date.now() - time) > 600000) throw new Error(`read ${at} of ${record.length}, of ${time}`);
console.log(JSON.stringify({
  time, revision, source: ['peer', 'proxy_protocol', 'header'][flags & 3],
  client: flags & 4 ? address(client) : null, peer: address(peer),
  type: flags & 8 ? (flags & 16 ? 'SERVICE_ACCOUNT' : 'API_KEY') : null, credential, organization,
  code: codes.find((text) => mark(text) === code), hasReason: reason !== 0,
  // Of any host and any method.
  route: flags & 64 ? ['/', '/api'].find((path) => mark(` ${path}`) === route) : null,
}));
