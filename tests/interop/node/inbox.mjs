// Waiting for what a client is going to receive, never for longer than a limit.
// Does not know: who puts it in.

/** Milliseconds for one wait; a scenario as a whole has more. */
const wait = 15_000;

/** What a scenario expected and did not get. */
export class Failure extends Error {}

/** Something that happens once, or is known not to happen any more. */
export function once() {
  let reach;
  let fail;
  const promise = new Promise((resolve, reject) => { reach = resolve; fail = (why) => reject(new Failure(why)); });
  promise.catch(() => {});
  return { reach, fail, reached: (what) => limited(promise, what) };
}

/** What arrived for one subscription and was not looked at yet. A lost connection ends the wait. */
export class Inbox {
  #arrived = [];
  #waiting = [];
  #ended = null;

  put(message) {
    const first = this.#waiting.shift();
    if (first) first.reach(message);
    else this.#arrived.push(message);
  }

  end(why) {
    this.#ended ??= why;
    for (const one of this.#waiting.splice(0)) one.fail(this.#ended);
  }

  get empty() {
    return this.#arrived.length === 0;
  }

  next(what = 'a message') {
    const one = once();
    if (this.#arrived.length > 0) one.reach(this.#arrived.shift());
    else if (this.#ended) one.fail(this.#ended);
    else this.#waiting.push(one);
    return one.reached(what);
  }
}

async function limited(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failure(`${what} did not arrive within ${wait / 1000} s`)), wait);
  });
  try {
    return await Promise.race([promise, late]);
  } catch (failure) {
    if (failure.message.startsWith(what)) throw failure;
    throw new Failure(`${what} did not arrive: ${failure.message}`);
  } finally {
    clearTimeout(timer);
  }
}
