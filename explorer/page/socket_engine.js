/** An engine that asks the server: JSON goes out, pictures come back as header and bytes. */

import { nextRequest } from "./frames.js";

const FIRST_PAUSE = 250; // milliseconds until the connection is tried again; doubled up to the last
const LAST_PAUSE = 5000;
const REFUSED = "The server was started again, with another token: open the address that it has printed.";

export class SocketEngine {
  constructor() {
    this.socket = null;
    this.pending = new Map(); // request: {key, resolve, reject}
    this.states = [];
    this.abouts = [];
    this.pause = FIRST_PAUSE;
    this.refused = false; // whether the server is there, and does not know the token
    this.first = new Promise((resolve) => {
      this.gotFirst = resolve;
    });
    this.connect();
  }

  /** @returns {Promise<Object>} what there is to show. */
  about() {
    return this.first;
  }

  /** Tells `callback(about)` when the server has another network than before. */
  onabout(callback) {
    this.abouts.push(callback);
  }

  /** Tells `callback("connected" | "waiting" | "lost")`. */
  onstate(callback) {
    this.states.push(callback);
  }

  /** @returns {Promise<{header: Object, blob: Blob}|null>} null: a newer request has replaced it. */
  request(message) {
    if (!this.open) {
      return Promise.resolve(null);
    }
    return new Promise((resolve, reject) => {
      const key = `${message.type} ${message.network}`;
      this.pending.set(message.request, { key, resolve, reject });
      this.socket.send(JSON.stringify(message));
    });
  }

  /** @returns {Promise<Object|null>} the run's news since a tick; epoch: of the news before. */
  run(since, epoch) {
    return this.request({ type: "run", request: nextRequest(), since, epoch });
  }

  /** Takes the run's newest snapshot; then `about` comes again. Rejected where it does not open. */
  reload() {
    return this.request({ type: "reload", request: nextRequest() });
  }

  pictureAddress(index) {
    return `run/pictures/${index}`;
  }

  /** @returns {Promise<Blob>} a file for `--latents`. */
  async latents(network, recipe) {
    const body = JSON.stringify({ network, recipe });
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("latents", { method: "POST", body, headers });
    if (!answer.ok) {
      throw new Error((await answer.text()).trim() || `The server answered ${answer.status}.`);
    }
    return answer.blob();
  }

  get open() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  connect() {
    const address = new URL("live", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => this.lose();
  }

  lose() {
    for (const { resolve } of this.pending.values()) {
      resolve(null);
    }
    this.pending.clear();
    this.tell(this.pause > 4 * FIRST_PAUSE ? "lost" : "waiting", this.refused ? REFUSED : undefined);
    setTimeout(() => this.connect(), this.pause);
    this.pause = Math.min(2 * this.pause, LAST_PAUSE);
    if (this.pause > 2 * FIRST_PAUSE) {
      this.ask();
    }
  }

  /** A socket that does not open says no reason: another token, most likely, or nobody there. */
  async ask() {
    const answer = await fetch("./", { method: "GET", cache: "no-store" }).catch(() => null);
    this.refused = answer !== null && answer.status === 403;
  }

  tell(state, sentence) {
    this.states.forEach((callback) => callback(state, sentence));
  }

  receive(data) {
    if (typeof data !== "string") {
      this.receivePicture(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "about") {
      this.receiveAbout(message);
    } else if (message.type === "run") {
      this.settle(message.request, message);
    } else if (message.type === "error") {
      const waiting = this.pending.get(message.request);
      this.pending.delete(message.request);
      waiting?.reject(new Error(message.message));
    }
  }

  receiveAbout(about) {
    this.pause = FIRST_PAUSE;
    this.refused = false;
    this.gotFirst(about);
    this.tell("connected");
    this.abouts.forEach((callback) => callback(about));
  }

  receivePicture(data) {
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const blob = new Blob([new Uint8Array(data, 4 + length)], { type: header.mime });
    this.settle(header.request, { header, blob });
  }

  /** Answers of older requests of the same kind will not come: they were replaced. */
  settle(request, answer) {
    const waiting = this.pending.get(request);
    for (const [number, other] of this.pending) {
      if (waiting && other.key === waiting.key && number < request) {
        this.pending.delete(number);
        other.resolve(null);
      }
    }
    this.pending.delete(request);
    waiting?.resolve(answer);
  }
}
