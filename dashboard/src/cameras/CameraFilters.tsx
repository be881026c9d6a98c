import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useStore } from 'zustand';

import type { CameraState } from '../api/types';
import { useServices } from '../app/context';
import { formatNumber } from '../i18n/language';
import { useLanguage } from '../i18n/use-language';
import { CloseIcon, SearchIcon } from '../ui/icons';
import { agenciesOf, CAMERA_STATES } from './filter';
import styles from './CameraFilters.module.css';

interface Props {
  counts: Readonly<Record<CameraState, number>>;
}

export function CameraFilters({ counts }: Props) {
  return (
    <div role="search" className={styles.filters}>
      <Search />
      <AgencyFilter />
      <StateFilter counts={counts} />
    </div>
  );
}

function Search() {
  const { t } = useTranslation();
  const { filter } = useServices();
  const search = useStore(filter, (state) => state.search);
  return (
    <div className={styles.search}>
      <SearchIcon />
      <input
        type="search"
        className="field"
        dir="auto"
        value={search}
        placeholder={t('cameras.search')}
        aria-label={t('cameras.search')}
        onChange={(event) => filter.setState({ search: event.target.value })}
      />
      {search !== '' && (
        <button
          type="button"
          aria-label={t('cameras.clearSearch')}
          title={t('cameras.clearSearch')}
          onClick={() => filter.setState({ search: '' })}
        >
          <CloseIcon />
        </button>
      )}
    </div>
  );
}

function AgencyFilter() {
  const { t } = useTranslation();
  const { filter, cameras } = useServices();
  const chosen = useStore(filter, (state) => state.agency);
  const all = useStore(cameras, (state) => state.cameras);
  const agencies = useMemo(() => agenciesOf(all), [all]);
  // The chosen agency stays in the list when its last camera goes.
  const listed = chosen === null || agencies.includes(chosen) ? agencies : [...agencies, chosen];
  return (
    <select
      className="field"
      aria-label={t('cameras.agency')}
      value={chosen === null ? '*' : `=${chosen}`}
      onChange={({ target: { value } }) => filter.setState({ agency: value === '*' ? null : value.slice(1) })}
    >
      <option value="*">{t('cameras.allAgencies')}</option>
      {listed.map((agency) => (
        <option key={agency} value={`=${agency}`}>
          {agency === '' ? t('cameras.noAgency') : agency}
        </option>
      ))}
    </select>
  );
}

function StateFilter({ counts }: Props) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { filter } = useServices();
  const chosen = useStore(filter, (state) => state.state);
  const total = CAMERA_STATES.reduce((sum, state) => sum + counts[state], 0);
  return (
    <div role="group" aria-label={t('cameras.state')} className={styles.states}>
      <button type="button" aria-pressed={chosen === null} onClick={() => filter.setState({ state: null })}>
        {t('cameras.allStates')} <span>{formatNumber(total, language)}</span>
      </button>
      {CAMERA_STATES.map((state) => (
        <button
          key={state}
          type="button"
          aria-pressed={chosen === state}
          data-state={state}
          onClick={() => filter.setState({ state: chosen === state ? null : state })}
        >
          {t(`state.${state}`)} <span>{formatNumber(counts[state], language)}</span>
        </button>
      ))}
    </div>
  );
}
