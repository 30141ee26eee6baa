import { Group, Text } from "@mantine/core";
import { BY_KEYBOARD } from "../../ui/listQuery";
import { roundUp } from "./periods";

export type Series = { name: string; color: string; values: number[] };

type ColumnsProps = { title: string; labels: string[]; series: Series[]; text: (value: number) => string };

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 220, 62, 22, 10];

/** Columns side by side, each with its parts on top of each other. A table says the same to whoever cannot see it. */
export function Columns({ title, labels, series, text }: ColumnsProps) {
  const sums = labels.map((_, column) => series.reduce((sum, { values }) => sum + (values[column] ?? 0), 0));
  const top = roundUp(Math.max(...sums, 0));
  const height = HEIGHT - BOTTOM - TOP;
  const step = (WIDTH - LEFT) / Math.max(labels.length, 1);
  const y = (value: number) => TOP + height * (1 - value / top);
  return (
    <figure style={{ margin: 0 }}>
      <section className="scrolled" {...BY_KEYBOARD} aria-label={title}>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          className="chart"
          role="img"
          aria-label={`${title}. The table says the same.`}
        >
          {[0, 0.5, 1].map((part) => (
            <g key={part}>
              <line
                x1={LEFT}
                x2={WIDTH}
                y1={y(top * part)}
                y2={y(top * part)}
                stroke="var(--mantine-color-default-border)"
              />
              <text x={LEFT - 6} y={y(top * part) + 4} textAnchor="end">
                {text(top * part)}
              </text>
            </g>
          ))}
          {labels.map((label, column) => {
            let below = 0;
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: a column is its place
              <g key={column}>
                {series.map(({ name, color, values }) => {
                  const value = values[column] ?? 0;
                  below += value;
                  return (
                    <rect
                      key={name}
                      x={LEFT + column * step + step * 0.15}
                      width={step * 0.7}
                      y={y(below)}
                      height={Math.max(0, (height * value) / top)}
                      fill={color}
                    >
                      <title>{`${label}, ${name}: ${text(value)}`}</title>
                    </rect>
                  );
                })}
                <text x={LEFT + (column + 0.5) * step} y={HEIGHT - 6} textAnchor="middle">
                  {label}
                </text>
              </g>
            );
          })}
        </svg>
      </section>
      <Group component="figcaption" gap="md" mt={4}>
        {series.map(({ name, color }) => (
          <Text size="sm" key={name}>
            <span className="swatch" style={{ background: color }} aria-hidden="true" /> {name}
          </Text>
        ))}
      </Group>
      <details>
        <summary>
          <Text span size="sm">
            The same as a table
          </Text>
        </summary>
        <section className="scrolled" {...BY_KEYBOARD} aria-label={`${title} as a table`}>
          <table className="figures">
            <thead>
              <tr>
                <th scope="col">From</th>
                {series.map(({ name }) => (
                  <th scope="col" key={name}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {labels.map((label, column) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a column is its place
                <tr key={column}>
                  <th scope="row">{label}</th>
                  {series.map(({ name, values }) => (
                    <td key={name}>{text(values[column] ?? 0)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  );
}
