import { readFileSync } from 'node:fs';

import { beforeEach, describe, expect, it } from 'vitest';

import ar from './ar.json';
import en from './en.json';
import { startI18n, switchLanguage } from './i18n';
import { formatAge, formatNumber, storedLanguage } from './language';
import { isKnownReason, reasonText } from './reason-text';

interface Tree {
  [key: string]: string | Tree;
}

function flat(tree: Tree, prefix = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === 'string') all.set(prefix + key, value);
    else for (const [below, text] of flat(value, `${prefix}${key}.`)) all.set(below, text);
  }
  return all;
}

const PLURAL = /_(zero|one|two|few|many|other)$/;
const english = flat(en);
const arabic = flat(ar);
const bare = (texts: Map<string, string>) => [...new Set([...texts.keys()].map((key) => key.replace(PLURAL, '')))].sort();
const placeholders = (text: string) => [...text.matchAll(/\{\{\s*(\w+)/g)].map((match) => match[1]).sort();

describe('the catalogue (R0-08, R3.1-36)', () => {
  it('says everything in both languages', () => {
    expect(bare(arabic)).toEqual(bare(english));
  });

  it('has each plural form that its language needs', () => {
    for (const [texts, language] of [[english, 'en'], [arabic, 'ar']] as const) {
      const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
      for (const key of texts.keys()) {
        if (!key.endsWith('_other')) continue;
        for (const form of forms) expect([...texts.keys()], language).toContain(key.replace(PLURAL, `_${form}`));
      }
    }
  });

  it('leaves no text empty, and puts the same values into both', () => {
    for (const [key, text] of [...english, ...arabic]) expect(text.trim(), key).not.toBe('');
    for (const [key, text] of arabic) {
      const other = english.get(key);
      if (other !== undefined && !PLURAL.test(key)) expect(placeholders(text), key).toEqual(placeholders(other));
    }
  });

  it('is Arabic where it says so', () => {
    for (const [key, text] of arabic) {
      const words = text.replace(/\{\{.*?\}\}/g, '');
      if (/\p{L}/u.test(words)) expect(words, key).toMatch(/\p{Script=Arabic}/u);
    }
    for (const [key, text] of english) expect(text, key).not.toMatch(/\p{Script=Arabic}/u);
  });

  it('has words for every reason of a condition', () => {
    // The list is the crds room's; a reason added there needs words here.
    const source = readFileSync('../crds/src/reason.rs', 'utf8');
    const block = /^reasons! \{$([\s\S]*?)^\}$/m.exec(source)?.[1] ?? '';
    const reasons = [...block.matchAll(/^ {4}([A-Z][A-Za-z0-9]+),$/gm)].map((match) => match[1]!);
    expect(reasons).toContain('ConnectionRefused');
    expect(reasons.filter((reason) => !isKnownReason(reason))).toEqual([]);
  });
});

describe('the language of the page', () => {
  beforeEach(() => localStorage.clear());

  it('is Arabic from right to left for a new visitor (R3.1-24)', () => {
    startI18n();
    expect(document.documentElement.lang).toBe('ar');
    expect(document.documentElement.dir).toBe('rtl');
    expect(document.title).toBe('مرصد');
  });

  it('is remembered when it is switched', () => {
    switchLanguage(startI18n(), 'en');
    expect(document.documentElement.dir).toBe('ltr');
    expect(document.documentElement.lang).toBe('en');
    expect(storedLanguage()).toBe('en');
    startI18n();
    expect(document.documentElement.dir).toBe('ltr');
  });

  it('is Arabic when what is stored is no language', () => {
    localStorage.setItem('marsad.language', 'xx');
    expect(storedLanguage()).toBe('ar');
  });

  it('writes numbers in its own digits and counts as its grammar does', () => {
    expect(formatNumber(12, 'ar')).toBe('١٢');
    expect(formatNumber(12, 'en')).toBe('12');
    const inArabic = startI18n('ar').t;
    expect([1, 2, 3, 11].map((count) => inArabic('cameras.shown', { count }))).toEqual([
      'كاميرا واحدة', 'كاميرتان', '٣ كاميرات', '١١ كاميرا',
    ]);
    const inEnglish = startI18n('en').t;
    expect([1, 12].map((count) => inEnglish('cameras.shown', { count }))).toEqual(['1 camera', '12 cameras']);
  });

  it('says how long ago something was (R1.1-11)', () => {
    expect([0, 1, 2, 3, 11].map((minutes) => formatAge(minutes, 'minute', 'ar'))).toEqual([
      'قبل ٠ دقيقة', 'قبل دقيقة واحدة', 'قبل دقيقتين', 'قبل ٣ دقائق', 'قبل ١١ دقيقة',
    ]);
    expect(formatAge(3, 'minute', 'en')).toMatch(/^3 min\.? ago$/);
    expect(startI18n('ar').t('tile.lastPicture', { age: formatAge(3, 'minute', 'ar') })).toBe('آخر صورة قبل ٣ دقائق');
  });

  it('names a reason that it does not know by its code', () => {
    const { t } = startI18n('en');
    expect(reasonText(t, 'BFrames')).toContain('B-frames');
    expect(reasonText(t, 'FromTheFuture')).toContain('FromTheFuture');
    expect(reasonText(t, 'toString')).toContain('toString');
  });
});
