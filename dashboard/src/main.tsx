import './ui/base.css';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { I18nextProvider } from 'react-i18next';

import { App } from './app/App';
import { ServicesProvider } from './app/context';
import { ErrorBoundary } from './app/ErrorBoundary';
import { createServices } from './app/services';
import { startI18n } from './i18n/i18n';
import { connectRoomWhenLoaded } from './live/lazy-room';

const i18n = startI18n();
const services = createServices({
  fetch: window.fetch.bind(window),
  openSocket: (url) => new WebSocket(url),
  connectRoom: connectRoomWhenLoaded(),
  window,
});
void services.auth.restore();

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(
  <StrictMode>
    <I18nextProvider i18n={i18n}>
      <ErrorBoundary>
        <ServicesProvider value={services}>
          <App />
        </ServicesProvider>
      </ErrorBoundary>
    </I18nextProvider>
  </StrictMode>,
);
