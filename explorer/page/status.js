/** One sentence for the user, and the state of the connection; both are read out. */
import { element } from "./dom.js";

const STATES = {
  connected: ["", "connected"],
  waiting: ["The connection is lost; trying again …", "waiting"],
  lost: ["The server does not answer. Is it still running? Trying again …", "lost"],
};

export class Status {
  constructor() {
    this.node = element("p", { class: "status", role: "status", "aria-live": "polite" });
    this.light = element("span", { class: "light", title: "connected", hidden: true });
    this.source = null;
  }

  /** source: what the sentence is about, which can take it back. */
  say(sentence, source = null) {
    this.source = source;
    this.node.textContent = sentence;
    clearTimeout(this.timer);
    if (source === null) {
      this.timer = setTimeout(() => this.clear(null), 12000);
    }
  }

  clear(source) {
    if (this.source === source) {
      this.node.textContent = "";
    }
  }

  /**
   * @param {"connected"|"waiting"|"lost"} state
   * @param {string} [told] the engine's own sentence
   */
  connection(state, told) {
    const [usual, title] = STATES[state];
    const sentence = told || usual;
    this.light.hidden = false;
    this.light.dataset.state = state;
    this.light.title = title;
    this.say(sentence, STATES);
    document.documentElement.dataset.connection = state;
  }
}
