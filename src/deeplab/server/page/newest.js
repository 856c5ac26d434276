/** Many requests in quick succession, of which only the newest counts. */

/**
 * Return a function that starts `work` after a pause without a further call, and aborts what an earlier call began.
 * The promises of calls that were overtaken reject with an AbortError, even where their answer arrives.
 * @param {(...args) => Promise} work its last argument is an AbortSignal
 * @returns {(pauseMs: number, ...args) => Promise}
 */
export function newestOf(work) {
  let newest = new AbortController();
  return async (pauseMs, ...args) => {
    newest.abort();
    const { signal } = (newest = new AbortController());
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    signal.throwIfAborted();
    const answer = await work(...args, signal);
    signal.throwIfAborted();
    return answer;
  };
}
