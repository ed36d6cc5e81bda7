/**
 * Answers that go on: server-sent events
 * ([HTML, section 9.2](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
 *
 * @module
 */

/** Tells whether an answer is a stream of events. */
export function isEventStream(headers: Headers): boolean {
  return /^text\/event-stream *(?:;|$)/i.test(headers.get("content-type") ?? "");
}

/** A body that can be ended from outside. */
export interface EndableBody {
  /** The same bytes as they come, none held back. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Ends it properly, as if the upstream had nothing more to say, and leaves the upstream. */
  end(): void;
}

/**
 * Makes a body endable.
 *
 * @param source The upstream's body.
 * @param onOver Called once when it is over, whoever ended it.
 * @returns The body and its end.
 */
export function createEndableBody(source: ReadableStream<Uint8Array<ArrayBuffer>>, onOver: () => void): EndableBody {
  const reader = source.getReader();
  let isOver = false;
  let close = () => {};

  function over(): void {
    isOver = true;
    onOver();
  }

  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      close = () => controller.close();
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (isOver) return;
        if (!done) return controller.enqueue(value);
        close();
        over();
      } catch (error) {
        if (!isOver) over();
        throw error;
      }
    },
    async cancel(reason) {
      over();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });

  return {
    body,
    end(): void {
      if (isOver) return;
      close();
      over();
      reader.cancel().catch(() => {});
    },
  };
}
