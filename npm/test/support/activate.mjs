/** Runs in a page: registers a service worker, and waits until it is active. */
export async function activate({ script, ...options }) {
  const { active, waiting, installing } = await navigator.serviceWorker.register(script, options);
  const worker = active ?? waiting ?? installing;
  await new Promise((resolve) => {
    const check = () => worker.state === 'activated' && resolve();
    worker.addEventListener('statechange', check);
    check();
  });
}
