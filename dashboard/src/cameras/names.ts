import type { CameraView } from '../api/types';
import type { Language } from '../i18n/language';

/** The name in the reader's language, else in the other one, else the object's. */
export function displayName(camera: CameraView, language: Language): string {
  const names = camera.display_name;
  const other = language === 'ar' ? 'en' : 'ar';
  return filled(names?.[language]) ?? filled(names?.[other]) ?? `${camera.namespace}/${camera.name}`;
}

function filled(text: string | null | undefined): string | null {
  return text?.trim() ? text : null;
}
