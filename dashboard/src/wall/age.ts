/** An age in the largest unit that fits, as the catalogue names them. */
export interface Age {
  unit: 'seconds' | 'minutes' | 'hours';
  value: number;
}

export function ageOf(milliseconds: number): Age {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  if (seconds < 60) return { unit: 'seconds', value: seconds };
  if (seconds < 3_600) return { unit: 'minutes', value: Math.floor(seconds / 60) };
  return { unit: 'hours', value: Math.floor(seconds / 3_600) };
}
