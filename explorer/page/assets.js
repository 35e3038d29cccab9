// What a single page carries beside its text: packed bytes, and arrays in them.

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Bytes of gzip in base64.
 * @param {string} text
 * @returns {Promise<Uint8Array>}
 */
export async function unpack(text) {
  const packed = new Blob([fromBase64(text)]).stream();
  const whole = packed.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(whole).arrayBuffer());
}

/** Numbers of IEEE 754's binary16 as float32. */
function fromHalf(halves) {
  return Float32Array.from(halves, (half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    const sign = half & 0x8000 ? -1 : 1;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}

/**
 * The arrays of a block of bytes, flat.
 * @param {Uint8Array} bytes
 * @param {{name: string, type: "float32"|"float16", offset: number, length: number}[]} table
 *   offsets in bytes, multiples of 4; little endian, as are the machines that browsers run on
 * @returns {Object<string, Float32Array>}
 */
export function arraysOf(bytes, table) {
  const read = ({ type, offset, length }) =>
    type === "float16"
      ? fromHalf(new Uint16Array(bytes.buffer, offset, length))
      : new Float32Array(bytes.buffer, offset, length);
  return Object.fromEntries(table.map((entry) => [entry.name, read(entry)]));
}
