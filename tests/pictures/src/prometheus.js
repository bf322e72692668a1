// A data source that puts queries to Prometheus as Grafana's own does: ranges, instants, tables,
// and the values of labels. It keeps account of what was asked, for who looks at the picture.
import { Observable, from } from 'rxjs';
import { FieldType, LoadingState, toDataFrame } from '@grafana/data';
import { setPluginImportUtils, setRunRequest } from '@grafana/runtime';
import { RuntimeDataSource, sceneGraph, sceneUtils } from '@grafana/scenes';

export const account = { asked: 0, waiting: 0, empty: [], failed: [] };

const SCRAPE_SECONDS = 1;

async function api(address, path, parameters) {
  account.asked += 1;
  account.waiting += 1;
  try {
    const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const body = await answer.json();
    if (body.status !== 'success') {
      throw new Error(body.error);
    }
    return body.data;
  } catch (error) {
    account.failed.push(`${path} ${JSON.stringify(parameters)}: ${error}`);
    throw error;
  } finally {
    account.waiting -= 1;
  }
}

function interpolate(text, request, extra = {}) {
  const variables = { ...request.scopedVars, ...extra };
  const found = request.scopedVars?.__sceneObject?.value;
  const scene = found?.valueOf ? found.valueOf() : found;
  return scene ? sceneGraph.interpolate(scene, text, variables) : text;
}

function name(labels, format) {
  if (format && format !== '__auto') {
    return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const own = Object.entries(labels).filter(([label]) => label !== '__name__');
  return own.map(([label, value]) => `${label}=${value}`).join(', ') || undefined;
}

const numbers = (values) => values.map(([, text]) => Number(text));

function seriesFrame(target, { metric, values, value }) {
  const points = values ?? [value];
  const shown = name(metric, target.legendFormat);
  const times = points.map(([seconds]) => seconds * 1000);
  const config = shown ? { displayNameFromDS: shown } : {};
  return toDataFrame({
    refId: target.refId,
    name: shown,
    fields: [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      { name: 'Value', type: FieldType.number, labels: metric, values: numbers(points), config },
    ],
  });
}

function tableFrame(target, rows) {
  const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const values = numbers(rows.map(({ value }) => value));
  const times = rows.map(({ value }) => value[0] * 1000);
  const column = (label) => rows.map(({ metric }) => metric[label] ?? '');
  const texts = labels.map((label) => ({ name: label, type: FieldType.string, values: column(label), config: {} }));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      ...texts,
      { name: `Value #${target.refId}`, type: FieldType.number, values, config: {} },
    ],
  });
}

class Prometheus extends RuntimeDataSource {
  constructor(address) {
    super('prometheus', 'prometheus');
    this.address = address;
  }

  async testDatasource() {
    return { status: 'success' };
  }

  query(request) {
    return from(this.all(request));
  }

  async all(request) {
    const frames = await Promise.all(request.targets.map((target) => this.one(target, request)));
    return { data: frames.flat() };
  }

  async one(target, request) {
    const step = Math.max(SCRAPE_SECONDS, Math.ceil(request.intervalMs / 1000));
    const start = request.range.from.unix();
    const end = request.range.to.unix();
    const query = interpolate(target.expr, request, {
      __rate_interval: { value: `${Math.max(4 * SCRAPE_SECONDS, step + SCRAPE_SECONDS)}s` },
      __interval: { value: `${step}s` },
      __range: { value: `${end - start}s` },
    });
    const asked = target.instant ? { query, time: end } : { query, start, end, step };
    const { result } = await api(this.address, target.instant ? 'query' : 'query_range', asked);
    if (!result.length) {
      account.empty.push(query);
    }
    if (target.format === 'table') {
      return [tableFrame(target, result)];
    }
    return result.map((row) => seriesFrame(target, row));
  }

  async metricFindQuery(variable, request) {
    const text = interpolate(variable.query, request);
    const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(text);
    const asked = { 'match[]': series, start: request.range.from.unix(), end: request.range.to.unix() };
    const values = await api(this.address, `label/${label}/values`, asked);
    return values.map((value) => ({ text: value, value }));
  }
}

// The application's loop around a data source: here without caches, streams and cancelling.
function runRequest(source, request) {
  return new Observable((out) => {
    const say = (state, rest) => out.next({ state, series: [], timeRange: request.range, request, ...rest });
    say(LoadingState.Loading);
    source.all(request).then(
      ({ data }) => {
        say(LoadingState.Done, { series: data });
        out.complete();
      },
      (error) => {
        say(LoadingState.Error, { errors: [{ message: String(error) }] });
        out.complete();
      }
    );
  });
}

export function registerPrometheus(address) {
  const none = async () => {
    throw new Error('there are no plug-ins here');
  };
  setPluginImportUtils({ importPanelPlugin: none, getPanelPluginFromCache: () => undefined });
  setRunRequest(runRequest);
  sceneUtils.registerRuntimeDataSource({ dataSource: new Prometheus(address) });
}
