export const LANGUAGES = ['ar', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

/** R0-08: Arabic is what a new visitor sees. */
export const DEFAULT_LANGUAGE: Language = 'ar';

const KEY = 'marsad.language';

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.some((language) => language === value);
}

export function directionOf(language: Language): 'rtl' | 'ltr' {
  return language === 'ar' ? 'rtl' : 'ltr';
}

/** The choice of an earlier visit. Storage may be forbidden; then every visit begins in Arabic. */
export function storedLanguage(): Language {
  try {
    const stored = localStorage.getItem(KEY);
    return isLanguage(stored) ? stored : DEFAULT_LANGUAGE;
  } catch {
    return DEFAULT_LANGUAGE;
  }
}

export function storeLanguage(language: Language): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // The choice holds until the page is closed.
  }
}

const NUMBERS: Record<Language, Intl.NumberFormat> = {
  // `nu-arab`: the digits that Arabic names of cameras are written with (مخرج ١٢).
  ar: new Intl.NumberFormat('ar-AE-u-nu-arab'),
  en: new Intl.NumberFormat('en'),
};

const AGES: Record<Language, Intl.RelativeTimeFormat> = {
  // Arabic has no short forms that people know.
  ar: new Intl.RelativeTimeFormat('ar-AE-u-nu-arab', { numeric: 'always' }),
  en: new Intl.RelativeTimeFormat('en', { numeric: 'always', style: 'short' }),
};

/** How long ago, in words: `قبل ٣ دقائق`. */
export function formatAge(value: number, unit: 'second' | 'minute' | 'hour' | 'day', language: Language): string {
  return AGES[language].format(-value, unit);
}

export function formatNumber(value: number, language: Language): string {
  return NUMBERS[language].format(value);
}
