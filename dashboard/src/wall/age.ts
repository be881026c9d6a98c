/** An age in the largest unit that fits. */
export interface Age {
  unit: 'second' | 'minute' | 'hour' | 'day';
  value: number;
}

export function ageOf(milliseconds: number): Age {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  if (seconds < 60) return { unit: 'second', value: seconds };
  if (seconds < 3_600) return { unit: 'minute', value: Math.floor(seconds / 60) };
  if (seconds < 86_400) return { unit: 'hour', value: Math.floor(seconds / 3_600) };
  return { unit: 'day', value: Math.floor(seconds / 86_400) };
}
