import type { TFunction } from 'i18next';

import { ApiError } from '../api/problem';
import type { Language } from '../i18n/language';

/** What to tell somebody whose sign-in failed. A refusal this page has no words for speaks for itself. */
export function signInError(error: unknown, t: TFunction, language: Language): string {
  if (!(error instanceof ApiError)) return t('auth.unreachable');
  if (error.status === 401) return t('auth.wrong');
  if (error.status === 429) return t('auth.tooMany', { seconds: Math.ceil(error.retryAfterSeconds ?? 60) });
  if (error.status >= 500) return t('auth.unreachable');
  const said = language === 'ar' ? error.problem.message_ar : error.problem.message_en;
  return said ?? t('auth.failed');
}
