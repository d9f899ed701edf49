import { memoryStore, opfsStore, sync } from '/.driblet/client.js';

const FROM = { same: 'nothing new', version: 'the version held', matched: 'chunks that matched', none: 'nothing held' };

const [publishButton, syncButton, forgetButton] = ['publish', 'sync', 'forget'].map((id) => document.getElementById(id));
const status = document.getElementById('status');
const { url: control } = await (await fetch('/control.json', { cache: 'no-store' })).json();

let store = opfsStore();
let release = await (await fetch(control)).json();

publishButton.addEventListener('click', () =>
  busily(async () => {
    release = await (await fetch(control, { method: 'POST' })).json();
    await show();
  }),
);
syncButton.addEventListener('click', () => busily(show));
forgetButton.addEventListener('click', () =>
  busily(async () => {
    store = memoryStore();
    await show();
  }),
);
await busily(show);

/** Syncs, and adds a line of what it took. */
async function show() {
  status.textContent = 'Syncing…';
  const file = await sync('/typescript.js', { store, onProgress });
  const { sent, received, requests, basis, elapsed } = file.cost;
  const moved = sent + received;
  addRow([
    [release.release],
    [FROM[basis]],
    [moved.toLocaleString('en'), 'number moved'],
    [file.length.toLocaleString('en'), 'number'],
    [String(requests), 'number'],
    [`${Math.round(elapsed)} ms`, 'number'],
  ]);
  const share = Math.round(file.length / moved).toLocaleString('en');
  status.textContent = file.warning ?? `In step with ${release.release}: one byte moved for every ${share} of the file.`;
  file.close();
}

function onProgress({ written, length }) {
  if (length) status.textContent = `Syncing… ${Math.floor((100 * written) / length)} %`;
}

function addRow(cells) {
  const row = document.createElement('tr');
  for (const [text, className = ''] of cells) {
    const cell = document.createElement('td');
    cell.textContent = text;
    cell.className = className;
    row.append(cell);
  }
  document.getElementById('syncs').prepend(row);
}

/** Lets one thing happen at a time, and tells what went wrong. */
async function busily(work) {
  const focused = document.activeElement;
  const buttons = [publishButton, syncButton, forgetButton];
  for (const button of buttons) button.disabled = true;
  status.className = '';
  try {
    await work();
  } catch (error) {
    status.className = 'failed';
    status.textContent = error.message;
  }
  for (const button of buttons) button.disabled = false;
  publishButton.disabled = release.next === null;
  publishButton.textContent = release.next === null ? 'There is no newer release' : `Publish the next release, ${release.next}`;
  if (!focused?.disabled) focused?.focus();
}
