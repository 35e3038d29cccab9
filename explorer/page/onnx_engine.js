// The engine of a single page: the network is in the page, ONNX Runtime Web computes in a worker.
import { unpack } from "./assets.js";

/** @typedef {import("./codes.js").Network} Network */

export class OnnxEngine {
  /**
   * @param {object} page  what the page holds: {about, parts, texts}, of explorer/single_page.py
   * @param {string|null} backend  "wasm" for never the GPU
   */
  constructor(page, backend = null) {
    this.page = page;
    this.callbacks = [];
    this.state = ["waiting", "Unpacking the network …"];
    this.waiting = new Map(); // type: the newest request that the worker has not begun
    this.answers = new Map(); // id: what waits for the worker's answer
    this.ids = 0;
    this.last = null; // what was made last, and of what
    this.broken = null; // why nothing can be computed
    this.busy = false;
    this.opened = this.open(backend);
    this.opened.catch((error) => this.failed(error.message)); // whoever asks is told, too
  }

  async open(backend) {
    const { worker, ...texts } = this.page.texts;
    this.page.texts = null; // the worker has them
    const script = new Blob([await unpack(worker)], { type: "text/javascript" });
    const address = URL.createObjectURL(script);
    this.worker = new Worker(address);
    this.worker.onmessage = ({ data }) => this.answered(data);
    this.worker.onerror = (event) => this.failed(event.message || "it could not be started");
    const { about, parts } = this.page;
    const opened = await this.ask({ work: "open", about, parts, texts, backend });
    URL.revokeObjectURL(address);
    this.backend = opened.backend;
    this.say("connected", opened.note ?? `Computed in this browser, with ${this.backend}.`);
  }

  /** @returns {Promise<object>} */
  async about() {
    return this.page.about;
  }

  /** @param {(state: "connected"|"waiting"|"lost", sentence: string) => void} callback */
  onstate(callback) {
    this.callbacks.push(callback);
    callback(...this.state);
  }

  /**
   * @param {{type: string, request: number, network: number, preview?: boolean, recipe: object}} message
   * @returns {Promise<{header: object, blob: Blob}|null>}  null: replaced by a newer one
   */
  request(message) {
    return new Promise((resolve, reject) => {
      this.waiting.get(message.type)?.resolve(null);
      this.waiting.set(message.type, { message, resolve, reject });
      this.next();
    });
  }

  /**
   * The values of a picture before they are rounded to levels, about [−1, 1].
   * @returns {Promise<{data: Float32Array, dims: number[]}>}
   */
  async values(recipe) {
    await this.opened;
    return this.ask({ work: "values", recipe });
  }

  /** @returns {Promise<Blob>} */
  async latents(network, recipe) {
    await this.opened;
    return (await this.ask({ work: "latents", recipe })).blob;
  }

  async next() {
    if (this.busy || !this.waiting.size) return;
    this.busy = true;
    try {
      await this.opened;
    } catch (error) {
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    }
    const [type, first] = this.waiting.entries().next().value ?? [];
    this.waiting.delete(type);
    if (first) await this.make(first);
    this.busy = false;
    this.next();
  }

  async make({ message, resolve, reject }) {
    const { type, request, network, preview = false, recipe } = message;
    try {
      const { header, blob } = await this.made(type, recipe);
      const rest = { type, request, network, preview, score: null, command: null };
      resolve({ header: { ...rest, ...header }, blob });
    } catch (error) {
      reject(error);
    }
  }

  /** A picture at rest is the one that was made in passing, where nothing has changed since. */
  async made(type, recipe) {
    const key = `${type} ${JSON.stringify(recipe)}`;
    if (this.last?.key !== key) {
      this.last = { key, result: await this.ask({ work: type, recipe }) };
    }
    return this.last.result;
  }

  ask(message) {
    if (this.broken) return Promise.reject(new Error(this.broken));
    const id = ++this.ids;
    return new Promise((resolve, reject) => {
      this.answers.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message });
    });
  }

  answered({ id, result, error, note }) {
    if (note) {
      this.backend = "WebAssembly";
      this.say("connected", note);
      return;
    }
    const { resolve, reject } = this.answers.get(id);
    this.answers.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  }

  failed(reason) {
    this.broken = reason;
    this.say("lost", `The network does not run in this browser: ${reason}`);
    for (const { reject } of this.answers.values()) reject(new Error(reason));
    this.answers.clear();
  }

  say(...state) {
    this.state = state;
    for (const callback of this.callbacks) callback(...state);
  }
}
