import type { TFunction } from 'i18next';

import en from './en.json';

export type KnownReason = keyof typeof en.reason;

export function isKnownReason(reason: string): reason is KnownReason {
  return Object.hasOwn(en.reason, reason);
}

/** A reason in words. One that a newer server made up is named by its code, which support knows. */
export function reasonText(t: TFunction, reason: string): string {
  return isKnownReason(reason) ? t(`reason.${reason}`) : t('reason.Unknown', { code: reason });
}
