/** Pictures of one network, in order: in passing while something moves, whole at rest. */

const AT_ONCE = 2; // pictures in passing that are asked for before the first has come
let last = 0;

/** Numbers of requests: each is greater than all before, for all networks. */
export function nextRequest() {
  last += 1;
  return last;
}

export class Frames {
  /**
   * @param {any} engine
   * @param {number} network its index
   * @param {{show: function, wait: function, fail: function}} view gets frames, how long it
   *     takes (true: a picture is awaited), and sentences of what went wrong.
   */
  constructor(engine, network, view) {
    this.engine = engine;
    this.network = network;
    this.view = view;
    this.next = null;
    this.underway = 0;
    this.shown = 0;
    this.newest = 0;
  }

  /** A picture in passing; of those that cannot be asked for yet, the newest counts. */
  pass(recipe) {
    this.next = recipe;
    this.pump();
  }

  /** The picture itself. */
  rest(recipe) {
    this.next = null;
    this.ask(recipe, false);
  }

  pump() {
    if (this.next !== null && this.underway < AT_ONCE) {
      const recipe = this.next;
      this.next = null;
      this.ask(recipe, true);
    }
  }

  async ask(recipe, preview) {
    const request = nextRequest();
    this.newest = request;
    this.underway += preview ? 1 : 0;
    this.view.wait(true);
    try {
      const message = { type: "picture", request, network: this.network, preview, recipe };
      const frame = await this.engine.request(message);
      if (frame) {
        await this.draw(frame, request, recipe);
      }
    } catch (error) {
      if (request >= this.shown) {
        this.view.fail(error.message, preview);
      }
    } finally {
      this.underway -= preview ? 1 : 0;
      if (request === this.newest) {
        this.view.wait(false);
      }
      this.pump();
    }
  }

  /** Decoding takes time as well: a frame that a newer one has overtaken is dropped. */
  async draw(frame, request, recipe) {
    if (request < this.shown) {
      return;
    }
    const bitmap = await createImageBitmap(frame.blob);
    if (request >= this.shown) {
      this.shown = request;
      this.view.show(bitmap, frame, recipe);
    }
    bitmap.close();
  }
}
