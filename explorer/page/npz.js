// .npz files: NumPy's arrays in a ZIP file that compresses nothing.
import { crc32 } from "./png.js";

const DESCRIPTIONS = new Map([
  [Float32Array, "<f4"],
  [BigInt64Array, "<i8"],
]);

function npy(array, shape) {
  const tuple = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const description = DESCRIPTIONS.get(array.constructor);
  let header = `{'descr': '${description}', 'fortran_order': False, 'shape': ${tuple}, }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n"; // 10 bytes before
  const bytes = new Uint8Array(10 + header.length + array.byteLength);
  bytes.set([0x93, 78, 85, 77, 80, 89, 1, 0, header.length & 255, header.length >> 8]); // \x93NUMPY
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), 10 + header.length);
  return bytes;
}

function record(signature, fields) {
  const sizes = fields.map(([size]) => size);
  const view = new DataView(new ArrayBuffer(4 + sizes.reduce((sum, size) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/**
 * An .npz file.
 * @param {Object<string, {data: Float32Array|BigInt64Array, shape: number[]}>} arrays  by name
 * @returns {Blob}
 */
export function encodeNpz(arrays) {
  const parts = [];
  const directory = [];
  let offset = 0;
  let listed = 0;
  for (const [name, { data, shape }] of Object.entries(arrays)) {
    const file = new TextEncoder().encode(`${name}.npy`);
    const bytes = npy(data, shape);
    // Version 2.0, no flags, stored, 1980-01-01, checksum, both sizes, lengths of name and extras.
    const common = [
      [2, 20], [2, 0], [2, 0], [2, 0], [2, 33], [4, crc32(bytes)],
      [4, bytes.length], [4, bytes.length], [2, file.length], [2, 0],
    ]; // prettier-ignore
    const local = record(0x04034b50, common);
    const entry = record(0x02014b50, [
      [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset],
    ]); // prettier-ignore
    parts.push(local, file, bytes);
    directory.push(entry, file);
    offset += local.length + file.length + bytes.length;
    listed += entry.length + file.length;
  }
  const count = directory.length / 2;
  const end = [[2, 0], [2, 0], [2, count], [2, count], [4, listed], [4, offset], [2, 0]];
  return new Blob([...parts, ...directory, record(0x06054b50, end)]);
}
