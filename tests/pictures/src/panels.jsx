// Registers the dashboards' kinds of panel. The drawing is Grafana's components; what stands here
// is the thin part between panel options and them, which its server's application has.
import {
  EventBusSrv,
  PanelPlugin,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  identityOverrideProcessor,
} from '@grafana/data';
import { config } from '@grafana/runtime';
import { sceneUtils } from '@grafana/scenes';
import { BarGauge, BigValue, PanelContextProvider, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import { Heatmap } from './heatmap.jsx';

const bus = new EventBusSrv();

function Lines(props) {
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...props.options.legend };
  return (
    <PanelContextProvider value={{ eventsScope: 'panel', eventBus: props.eventBus ?? bus, app: 'dashboard' }}>
      <TimeSeries
        frames={props.data.series}
        structureRev={props.data.structureRev ?? 1}
        width={props.width}
        height={props.height}
        timeRange={props.timeRange}
        timeZone="utc"
        legend={legend}
        options={props.options}
        tweakScale={(scale) => scale}
        tweakAxis={(axis) => axis}
        replaceVariables={props.replaceVariables}
      />
    </PanelContextProvider>
  );
}

function values({ fieldConfig, options, replaceVariables, data }) {
  return getFieldDisplayValues({
    fieldConfig,
    reduceOptions: options.reduceOptions,
    replaceVariables,
    theme: config.theme2,
    data: data.series,
    timeZone: 'utc',
  });
}

const repeated = (render) => (props) => (
  <VizRepeater
    getValues={() => values(props)}
    getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={(one) => render(props, one)}
    width={props.width}
    height={props.height}
    source={props.data}
    renderCounter={props.renderCounter}
    orientation={props.options.orientation}
    minVizHeight={18}
    itemSpacing={6}
    autoGrid
  />
);

const Figure = repeated(({ options }, { value, width, height }) => (
  <BigValue
    value={value.display}
    colorMode={options.colorMode}
    graphMode={options.graphMode}
    justifyMode={options.justifyMode}
    textMode="value"
    width={width}
    height={height}
    theme={config.theme2}
  />
));

const Bars = repeated(({ options }, { value, width, height, orientation, alignmentFactors }) => (
  <BarGauge
    value={value.display}
    field={value.field}
    display={value.view?.getFieldDisplayProcessor(value.colIndex)}
    width={width}
    height={height}
    orientation={orientation}
    displayMode={options.displayMode}
    valueDisplayMode={options.valueMode}
    namePlacement={options.namePlacement}
    alignmentFactors={alignmentFactors}
    theme={config.theme2}
    itemSpacing={6}
    showUnfilled={options.showUnfilled}
  />
));

function Rows({ data, width, height, options }) {
  const { sortBy } = options;
  return <Table data={data.series[0]} width={width} height={height} initialSortBy={sortBy} enablePagination={false} />;
}

// The defaults of Grafana's time series panel, for what a dashboard does not say.
const LINE_DEFAULTS = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  showPoints: 'never',
  gradientMode: 'none',
  pointSize: 5,
  spanNulls: false,
  insertNulls: false,
  axisPlacement: 'auto',
  axisLabel: '',
  axisColorMode: 'text',
  scaleDistribution: { type: 'linear' },
  stacking: { mode: 'none', group: 'A' },
  hideFrom: { tooltip: false, viz: false, legend: false },
  thresholdsStyle: { mode: 'off' },
  barAlignment: 0,
  lineStyle: { fill: 'solid' },
};
const TABLE_DEFAULTS = { align: 'auto', minWidth: 150, inspect: false, cellOptions: { type: 'auto' } };

function register(pluginId, component, defaults) {
  const plugin = new PanelPlugin(component);
  const add = (builder) => {
    for (const [id, defaultValue] of Object.entries(defaults)) {
      builder.addCustomEditor({
        id,
        path: id,
        name: id,
        defaultValue,
        editor: () => null,
        override: () => null,
        process: identityOverrideProcessor,
        shouldApply: () => true,
      });
    }
  };
  plugin.useFieldConfig({ useCustomConfig: add });
  sceneUtils.registerRuntimePanelPlugin({ pluginId, plugin });
}

export function registerPanels() {
  register('timeseries', Lines, LINE_DEFAULTS);
  register('stat', Figure, {});
  register('bargauge', Bars, {});
  register('table', Rows, TABLE_DEFAULTS);
  register('heatmap', Heatmap, {});
}
