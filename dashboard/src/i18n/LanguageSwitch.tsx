import { useTranslation } from 'react-i18next';

import { switchLanguage } from './i18n';
import { LANGUAGES, type Language } from './language';
import { useLanguage } from './use-language';

/** Each language by its own name, so that whoever cannot read the page finds it. */
const NAMES: Record<Language, string> = { ar: 'العربية', en: 'English' };

export function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  const current = useLanguage();
  return (
    <div className="segments" role="group" aria-label={t('language.label')}>
      {LANGUAGES.map((language) => (
        <button
          key={language}
          type="button"
          lang={language}
          aria-pressed={language === current}
          onClick={() => switchLanguage(i18n, language)}
        >
          {NAMES[language]}
        </button>
      ))}
    </div>
  );
}
