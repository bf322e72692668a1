// Rows of a heat map. Ours: Grafana's heat map is not among its published libraries. Colours and
// units are Grafana's.
import { fieldColorModeRegistry, formattedValueToString, getFieldDisplayName, getValueFormat } from '@grafana/data';
import { config } from '@grafana/runtime';
import { useEffect, useRef } from 'react';

const LEFT = 78;
const BOTTOM = 40;

function draw(canvas, { width, height, data, timeRange, fieldConfig }) {
  const pen = canvas.getContext('2d');
  const scale = window.devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = height * scale;
  pen.scale(scale, scale);
  const colors = fieldColorModeRegistry.get('continuous-YlRd').getCalculator({ config: {} }, config.theme2);
  const rows = data.series
    .map((frame) => ({
      name: getFieldDisplayName(frame.fields[1], frame, data.series),
      times: frame.fields[0].values,
      values: frame.fields[1].values,
    }))
    .sort((one, other) => parseInt(one.name, 10) - parseInt(other.name, 10));
  const most = Math.max(1, ...rows.flatMap(({ values }) => values));
  const from = timeRange.from.valueOf();
  const span = timeRange.to.valueOf() - from;
  const at = (time) => LEFT + ((time - from) / span) * (width - LEFT);
  const tall = (height - BOTTOM) / rows.length;
  pen.font = '12px Inter, Helvetica, Arial, sans-serif';
  pen.textBaseline = 'middle';
  rows.forEach(({ name, times, values }, index) => {
    const top = height - BOTTOM - (index + 1) * tall;
    const step = times.length > 1 ? times[1] - times[0] : span;
    values.forEach((value, k) => {
      pen.globalAlpha = value ? 0.2 + 0.8 * Math.sqrt(value / most) : 0;
      pen.fillStyle = colors(value, value / most);
      pen.fillRect(at(times[k]), top + 1, Math.max(1, at(times[k] + step) - at(times[k])) + 0.5, tall - 2);
    });
    pen.globalAlpha = 1;
    pen.fillStyle = config.theme2.colors.text.secondary;
    pen.textAlign = 'right';
    pen.fillText(`${name} %`, LEFT - 8, top + tall / 2);
  });
  pen.textAlign = 'center';
  for (let k = 1; k < 6; k += 1) {
    const time = from + (span * k) / 6;
    pen.fillText(new Date(time).toISOString().slice(11, 19), at(time), height - BOTTOM + 12);
  }
  const text = formattedValueToString(getValueFormat(fieldConfig.defaults.unit)(most));
  pen.textAlign = 'left';
  for (let k = 0; k < 100; k += 1) {
    pen.globalAlpha = 0.2 + 0.8 * Math.sqrt(k / 100);
    pen.fillStyle = colors(k, k / 100);
    pen.fillRect(LEFT + k * 2, height - 14, 2, 8);
  }
  pen.globalAlpha = 1;
  pen.fillStyle = config.theme2.colors.text.secondary;
  pen.fillText(`0 … ${text}`, LEFT + 210, height - 10);
}

export function Heatmap(props) {
  const canvas = useRef();
  useEffect(() => draw(canvas.current, props));
  return <canvas ref={canvas} style={{ width: props.width, height: props.height }} />;
}
