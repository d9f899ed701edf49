// What the pages share: they ask the publishing server, and show errors. Two of them do one thing at a time.

const publishButton = document.getElementById('publish');
const status = document.getElementById('status');
const failure = document.getElementById('failure');

let control;
let busy = false;

/** Asks the publishing server which releases are published. With a path it acts first. Returns its state. */
export async function ask(path) {
  control ??= (await (await fetch('/control.json', { cache: 'no-store' })).json()).url;
  const response = await fetch(`${control}${path ?? ''}`, { method: path ? 'POST' : 'GET' }).catch(() => {
    throw new Error('The demo has stopped. Start it again with “make demo”, and open the address that it prints.');
  });
  return response.json();
}

/** Has the publishing server act, although this page is being left. */
export function tell(path) {
  navigator.sendBeacon(`${control}${path}`);
}

export function isBusy() {
  return busy;
}

/**
 * Returns a function that runs one action at a time, and shows its error with a button that calls `retry`. The buttons
 * keep the focus meanwhile. `begin`, `fail` and `end` are called when an action begins, fails and ends; `end` tells
 * whether the next click starts over, and whether there can be one.
 */
export function actions({ begin = () => {}, fail, end, retry }) {
  async function alone(work) {
    if (busy) return;
    busy = true;
    publishButton.setAttribute('aria-disabled', 'true');
    begin();
    failure.replaceChildren();
    try {
      await work();
    } catch (error) {
      fail();
      showFailure(error, () =>
        alone(async () => {
          publishButton.focus();
          await retry();
        }),
      );
    }
    busy = false;
    const { isLast, canPublish = true } = end();
    if (canPublish) publishButton.removeAttribute('aria-disabled');
    publishButton.textContent = isLast ? 'Start over' : 'Publish the next release';
  }

  return alone;
}

/** Shows an error with a button that calls `retry`. */
export function showFailure(error, retry) {
  status.textContent = '';
  const said = document.createElement('p');
  said.textContent = error.message;
  const again = document.createElement('button');
  again.type = 'button';
  again.textContent = 'Try again';
  again.addEventListener('click', retry);
  failure.replaceChildren(said, again);
}
