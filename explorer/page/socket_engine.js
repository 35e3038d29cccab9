/** An engine that asks the server: JSON goes out, pictures come back as header and bytes. */

const FIRST_PAUSE = 250; // milliseconds until the connection is tried again; doubled up to the last
const LAST_PAUSE = 5000;

export class SocketEngine {
  constructor() {
    this.socket = null;
    this.pending = new Map(); // request: {key, resolve, reject}
    this.runs = [];
    this.states = [];
    this.abouts = [];
    this.pause = FIRST_PAUSE;
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
    if (!this.open) {
      return Promise.resolve(null);
    }
    this.socket.send(JSON.stringify({ type: "run", since, epoch }));
    return new Promise((resolve) => this.runs.push(resolve));
  }

  /** Takes the run's newest snapshot; `about` comes again. */
  reload() {
    if (this.open) {
      this.socket.send(JSON.stringify({ type: "reload" }));
    }
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
      throw new Error((await answer.text()).slice(0, 300) || `The server answered ${answer.status}.`);
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
    this.runs.splice(0).forEach((resolve) => resolve(null));
    this.tell(this.pause > 4 * FIRST_PAUSE ? "lost" : "waiting");
    setTimeout(() => this.connect(), this.pause);
    this.pause = Math.min(2 * this.pause, LAST_PAUSE);
  }

  tell(state) {
    this.states.forEach((callback) => callback(state));
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
      (this.runs.shift() || (() => {}))(message);
    } else if (message.type === "error") {
      const waiting = this.pending.get(message.request);
      this.pending.delete(message.request);
      if (waiting) {
        waiting.reject(new Error(message.message));
      } else {
        this.runs.splice(0).forEach((resolve) => resolve(null));
      }
    }
  }

  receiveAbout(about) {
    this.pause = FIRST_PAUSE;
    this.gotFirst(about);
    this.tell("connected");
    this.abouts.forEach((callback) => callback(about));
  }

  receivePicture(data) {
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const blob = new Blob([new Uint8Array(data, 4 + length)], { type: header.mime });
    const waiting = this.pending.get(header.request);
    if (!waiting) {
      return;
    }
    for (const [request, other] of this.pending) {
      if (other.key === waiting.key && request < header.request) {
        this.pending.delete(request);
        other.resolve(null); // replaced, and so never answered
      }
    }
    this.pending.delete(header.request);
    waiting.resolve({ header, blob });
  }
}
