// Draws one dashboard. The address says which: ?board=NAME&prometheus=HOST:PORT&from=ISO&to=ISO
// and chosen=JSON of variables. `window.account` tells what was asked and what went wrong.
import './boot.js';
import { ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { config } from '@grafana/runtime';
import { GlobalStyles } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import { sceneOf } from './board.js';
import { registerPanels } from './panels.jsx';
import { account, registerPrometheus } from './prometheus.js';
import { fillRegistries } from './registries.js';

window.account = account;

async function main() {
  const asked = Object.fromEntries(new URLSearchParams(window.location.search));
  const board = await (await fetch(`dashboards/${asked.board}.json`)).json();
  await initPluginTranslations('grafana-scenes');
  fillRegistries();
  registerPrometheus(asked.prometheus);
  registerPanels();
  const { from, to } = asked;
  const scene = sceneOf(board, { from, to, chosen: JSON.parse(asked.chosen) });
  const background = config.theme2.colors.background.canvas;
  createRoot(document.getElementById('root')).render(
    <MemoryRouter>
      <ThemeContext.Provider value={config.theme2}>
        <GlobalStyles />
        <div id="board" style={{ background, padding: 12 }}>
          <h3>{board.title}</h3>
          <scene.Component model={scene} />
        </div>
      </ThemeContext.Provider>
    </MemoryRouter>
  );
}

main();
