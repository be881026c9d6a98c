import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { SignIn } from '../auth/SignIn';
import { Console } from './Console';
import { useServices } from './context';
import { Splash } from './Splash';

export function App() {
  const { t } = useTranslation();
  const { auth } = useServices();
  const status = useStore(auth, (state) => state.status);
  switch (status) {
    case 'unknown':
      return <Splash text={t('app.loading')} />;
    case 'unreachable':
      return <Splash text={t('app.unreachable')} action={t('app.retry')} onAction={() => void auth.restore()} />;
    case 'signed-out':
    case 'expired':
      return <SignIn expired={status === 'expired'} />;
    case 'signed-in':
      return <Console />;
  }
}
