// The numbers of NumPy's RandomState(seed).randn, so that a seed is the same picture everywhere.
//
// MT19937 as M. Matsumoto and T. Nishimura published it ("Mersenne Twister", 1998, and their
// initialisation of 2002), doubles of 53 bits from two of its words, and G. Marsaglia's polar method
// for normal numbers, of which each round makes two. Where a browser's logarithm rounds otherwise
// than the C library's, a number differs in its last bits; as float32 nearly all are the same.

const WORDS = 624;
const MIDDLE = 397;

export class RandomState {
  /** @param {number|number[]} seed  below 2^32; a list is a seed of several words */
  constructor(seed) {
    this.key = new Uint32Array(WORDS);
    this.at = WORDS; // all words are used: the first call makes new ones
    this.kept = null; // the second number of a round
    if (Array.isArray(seed)) this.seedWithWords(seed);
    else this.seedWithWord(seed);
  }

  seedWithWord(seed) {
    const key = this.key;
    key[0] = seed >>> 0;
    for (let i = 1; i < WORDS; i++) {
      key[i] = Math.imul(1812433253, key[i - 1] ^ (key[i - 1] >>> 30)) + i;
    }
  }

  seedWithWords(words) {
    const key = this.key;
    this.seedWithWord(19650218);
    let i = 1;
    let j = 0;
    for (let k = Math.max(WORDS, words.length); k > 0; k--) {
      const mixed = key[i] ^ Math.imul(key[i - 1] ^ (key[i - 1] >>> 30), 1664525);
      key[i] = mixed + words[j] + j;
      if (++i === WORDS) {
        key[0] = key[WORDS - 1];
        i = 1;
      }
      if (++j === words.length) j = 0;
    }
    for (let k = WORDS - 1; k > 0; k--) {
      key[i] = (key[i] ^ Math.imul(key[i - 1] ^ (key[i - 1] >>> 30), 1566083941)) - i;
      if (++i === WORDS) {
        key[0] = key[WORDS - 1];
        i = 1;
      }
    }
    key[0] = 0x80000000; // so that not all bits are 0
  }

  renew() {
    const key = this.key;
    for (let i = 0; i < WORDS; i++) {
      const joined = (key[i] & 0x80000000) | (key[(i + 1) % WORDS] & 0x7fffffff);
      key[i] = key[(i + MIDDLE) % WORDS] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  /** The next 32 bits. */
  word() {
    if (this.at === WORDS) this.renew();
    let y = this.key[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A double in [0, 1), of 53 random bits. */
  double() {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** A normal number. */
  normal() {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    let x, y, square;
    do {
      x = 2 * this.double() - 1;
      y = 2 * this.double() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const scale = Math.sqrt((-2 * Math.log(square)) / square);
    this.kept = scale * x;
    return scale * y;
  }

  /**
   * The next normal numbers.
   * @param {number} count
   * @returns {Float64Array}
   */
  randn(count) {
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i++) numbers[i] = this.normal();
    return numbers;
  }
}

/**
 * The latent of a seed, as `run_generator.py images --seeds` draws it.
 * @param {number} seed
 * @param {number} size
 * @returns {Float32Array}
 */
export function latent(seed, size) {
  return Float32Array.from(new RandomState(seed).randn(size));
}

/**
 * The noise images of a seed, as --noise=random draws them.
 * @param {number} seed
 * @param {number[][]} shapes  [height, width] of each layer
 * @returns {Float32Array[]}
 */
export function noiseImages(seed, shapes) {
  const random = new RandomState([seed, 1]); // with the seed alone it would begin as the latent
  return shapes.map(([height, width]) => Float32Array.from(random.randn(height * width)));
}
