import { Component, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { Splash } from './Splash';

interface Props {
  children: ReactNode;
}

/** A defect in one component must not leave a black page: it says so, in the reader's language. */
export class ErrorBoundary extends Component<Props, { crashed: boolean }> {
  override state = { crashed: false };

  static getDerivedStateFromError(): { crashed: boolean } {
    return { crashed: true };
  }

  override render(): ReactNode {
    return this.state.crashed ? <Crashed /> : this.props.children;
  }
}

function Crashed() {
  const { t } = useTranslation();
  return <Splash text={t('app.crashed')} action={t('app.reload')} onAction={() => window.location.reload()} />;
}
