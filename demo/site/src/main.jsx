import { StrictMode, Suspense, lazy, useEffect, useState, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { reloadWhenReady } from 'driblet/reload';
import './style.css';

const RELEASE = import.meta.env.VITE_RELEASE;

/** Each page is a chunk, which is fetched when the page is opened first. */
const pages = Object.fromEntries(
  Object.entries(import.meta.glob('./pages/*.jsx')).map(([path, load]) => [/(\w+)\.jsx$/.exec(path)[1], lazy(load)]),
);
const names = Object.keys(pages);

const subscribe = (tell) => {
  addEventListener('hashchange', tell);
  return () => removeEventListener('hashchange', tell);
};

function App() {
  const chosen = useSyncExternalStore(subscribe, () => location.hash.slice(1));
  const name = names.includes(chosen) ? chosen : names[0];
  const Page = pages[name];
  return (
    <>
      <header>
        <strong>Kitchen</strong>
        <span id="release">Release {RELEASE}</span>
      </header>
      <Update />
      <nav aria-label="Pages">
        {names.map((each) => (
          <a key={each} href={`#${each}`} aria-current={each === name ? 'page' : undefined}>
            {each}
          </a>
        ))}
      </nav>
      <main>
        <h1>{name}</h1>
        <Suspense fallback={<p>Loading…</p>}>
          <Page />
        </Suspense>
      </main>
    </>
  );
}

/** Offers a newer release once the service worker has stored it. This page keeps its own until then. */
function Update() {
  const [isReady, setReady] = useState(false);
  useEffect(() => {
    const ended = new AbortController();
    reloadWhenReady({ onReady: () => setReady(true), signal: ended.signal });
    return () => ended.abort();
  }, []);
  return (
    <div role="status">
      {isReady && (
        <p className="update">
          A new release is ready.
          <button type="button" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      )}
    </div>
  );
}

createRoot(document.getElementById('app')).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
