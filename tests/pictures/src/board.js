// A dashboard's JSON as a scene: rows, panels, variables, transformations.
import {
  CustomVariable,
  EmbeddedScene,
  QueryVariable,
  SceneControlsSpacer,
  SceneDataTransformer,
  SceneGridItem,
  SceneGridLayout,
  SceneGridRow,
  SceneQueryRunner,
  SceneTimePicker,
  SceneTimeRange,
  SceneVariableSet,
  VariableValueSelectors,
  VizPanel,
} from '@grafana/scenes';

const DATASOURCE = { uid: 'prometheus', type: 'prometheus' };
const POINTS = 400;

function panelData(panel) {
  const queries = panel.targets.map((target) => ({ ...target, datasource: DATASOURCE }));
  const runner = new SceneQueryRunner({ datasource: DATASOURCE, queries, maxDataPoints: POINTS });
  const transformations = panel.transformations ?? [];
  return transformations.length ? new SceneDataTransformer({ $data: runner, transformations }) : runner;
}

function gridItem(panel) {
  const { x, y, w, h } = panel.gridPos;
  const body = new VizPanel({
    key: `panel-${panel.id}`,
    title: panel.title,
    description: panel.description,
    pluginId: panel.type,
    options: panel.options ?? {},
    fieldConfig: panel.fieldConfig,
    $data: panelData(panel),
  });
  return new SceneGridItem({ x, y, width: w, height: h, body });
}

function gridRows(panels) {
  const rows = [];
  for (const panel of panels) {
    if (panel.type === 'row') {
      rows.push({ key: `row-${panel.id}`, title: panel.title, y: panel.gridPos.y, children: [] });
    } else {
      rows.at(-1).children.push(gridItem(panel));
    }
  }
  return rows.map((row) => new SceneGridRow({ ...row, isCollapsible: true, isCollapsed: false }));
}

// `chosen`: {variable: value}; all where a variable is not in it.
function sceneVariable(variable, chosen) {
  const { name, label } = variable;
  if (variable.type === 'datasource') {
    return new CustomVariable({ name, label, query: 'Prometheus', value: 'Prometheus', text: 'Prometheus' });
  }
  const all = { value: ['$__all'], text: ['All'] };
  const one = name in chosen ? { value: [chosen[name]], text: [chosen[name]] } : all;
  const { query, refresh, sort, allValue } = variable;
  return new QueryVariable({
    name,
    label,
    datasource: DATASOURCE,
    query,
    refresh,
    sort,
    allValue,
    isMulti: true,
    includeAll: true,
    ...one,
  });
}

export function sceneOf(board, { from, to, chosen }) {
  return new EmbeddedScene({
    $timeRange: new SceneTimeRange({ from, to, timeZone: 'utc' }),
    $variables: new SceneVariableSet({
      variables: board.templating.list.map((variable) => sceneVariable(variable, chosen)),
    }),
    controls: [new VariableValueSelectors({}), new SceneControlsSpacer(), new SceneTimePicker({ isOnCanvas: true })],
    body: new SceneGridLayout({ children: gridRows(board.panels) }),
  });
}
