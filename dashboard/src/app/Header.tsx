import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import { LanguageSwitch } from '../i18n/LanguageSwitch';
import { Brand } from '../ui/Brand';
import { SignOutIcon } from '../ui/icons';
import { useServices } from './context';
import styles from './Header.module.css';

export function Header() {
  const { t } = useTranslation();
  const { auth } = useServices();
  const name = useStore(auth, (state) => state.user?.name ?? '');
  return (
    <header className={styles.header}>
      <h1>
        <Brand />
      </h1>
      <LinkState />
      <div className={styles.end}>
        <LanguageSwitch />
        <bdi className={styles.user} title={t('auth.signedInAs', { name })}>
          {name}
        </bdi>
        <button
          type="button"
          className="iconButton"
          aria-label={t('auth.signOut')}
          title={t('auth.signOut')}
          onClick={() => void auth.signOut()}
        >
          <SignOutIcon />
        </button>
      </div>
    </header>
  );
}

/** Whether what the page shows is what the server knows now. */
function LinkState() {
  const { t } = useTranslation();
  const { cameras } = useServices();
  const link = useStore(cameras, (state) => state.link);
  return (
    <p role="status" className={styles.link} data-link={link} data-testid="link">
      <span className={styles.linkText}>{t(`link.${link}`)}</span>
    </p>
  );
}
