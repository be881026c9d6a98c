import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useServices } from '../app/context';
import { LanguageSwitch } from '../i18n/LanguageSwitch';
import { useLanguage } from '../i18n/use-language';
import { Brand } from '../ui/Brand';
import { signInError } from './sign-in-error';
import styles from './SignIn.module.css';

interface Props {
  /** The session ended by itself: say so. */
  expired: boolean;
}

export function SignIn({ expired }: Props) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { auth } = useServices();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const first = useRef<HTMLInputElement>(null);

  useEffect(() => first.current?.focus(), []);

  async function submit(form: HTMLFormElement) {
    const data = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await auth.signIn(text(data.get('username')), text(data.get('password')));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <div className={styles.page}>
      <header className={styles.language}>
        <LanguageSwitch />
      </header>
      <main className={styles.card}>
        <div className={styles.heading}>
          <Brand />
          <p className={styles.tagline}>{t('app.tagline')}</p>
        </div>
        <h1 className="unseen">{t('auth.title')}</h1>
        {expired && error === null && (
          <p role="status" className={styles.note}>
            {t('auth.expired')}
          </p>
        )}
        <form
          className={styles.form}
          onSubmit={(event) => {
            event.preventDefault();
            void submit(event.currentTarget);
          }}
        >
          <label htmlFor="username">{t('auth.username')}</label>
          <input
            ref={first}
            id="username"
            name="username"
            className="field"
            dir="ltr"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
          />
          <label htmlFor="password">{t('auth.password')}</label>
          <input
            id="password"
            name="password"
            type="password"
            className="field"
            dir="ltr"
            autoComplete="current-password"
            required
          />
          {error !== null && (
            <p role="alert" className={styles.error}>
              {signInError(error, t, language)}
            </p>
          )}
          <button type="submit" className="button primary" disabled={busy}>
            {busy ? t('auth.submitting') : t('auth.submit')}
          </button>
        </form>
      </main>
    </div>
  );
}

function text(value: FormDataEntryValue | null): string {
  return typeof value === 'string' ? value : '';
}
