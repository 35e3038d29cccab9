// PNG files of pixels as they are: no canvas, which would multiply colours with their opacity.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const COLOUR_TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 }; // by channels: grey, grey + alpha, RGB, RGBA

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/**
 * CRC-32 as PNG and ZIP have it.
 * @param {Uint8Array} bytes
 */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(name, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/**
 * A PNG file.
 * @param {Uint8Array|Uint8ClampedArray} pixels  [height, width, channels]
 * @param {number} width
 * @param {number} height
 * @param {number} channels  1 to 4: grey, grey and alpha, RGB, RGBA
 * @returns {Promise<Blob>}
 */
export async function encodePng(pixels, width, height, channels) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, COLOUR_TYPES[channels], 0, 0, 0], 8);
  const row = width * channels;
  const rows = new Uint8Array(height * (row + 1)); // a 0 before each row: it is not filtered
  for (let y = 0; y < height; y++) {
    rows.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  }
  const packed = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const parts = [new Uint8Array(SIGNATURE), chunk("IHDR", header), chunk("IDAT", data)];
  return new Blob([...parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
}
