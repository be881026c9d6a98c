import i18next, { type i18n } from 'i18next';
import { initReactI18next } from 'react-i18next';

import ar from './ar.json';
import en from './en.json';
import { directionOf, formatNumber, isLanguage, type Language, storedLanguage, storeLanguage } from './language';

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
  }
}

/** The message catalogue in the stored language. The document's `lang`, `dir` and title follow it. */
export function startI18n(language: Language = storedLanguage()): i18n {
  const instance = i18next.createInstance();
  instance.use(initReactI18next);
  instance.on('languageChanged', (changed) => {
    if (!isLanguage(changed)) return;
    const root = document.documentElement;
    root.lang = changed;
    root.dir = directionOf(changed);
    document.title = instance.t('app.name');
  });
  void instance.init({
    resources: { ar: { translation: ar }, en: { translation: en } },
    lng: language,
    fallbackLng: 'en',
    // React escapes.
    interpolation: { escapeValue: false },
    initAsync: false,
  });
  instance.services.formatter?.add('digits', (value: unknown, lng) =>
    typeof value === 'number' && isLanguage(lng) ? formatNumber(value, lng) : String(value),
  );
  return instance;
}

export function switchLanguage(instance: i18n, language: Language): void {
  storeLanguage(language);
  void instance.changeLanguage(language);
}
