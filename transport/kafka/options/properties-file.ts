/**
 * Java's .properties files, in which Kafka's own tools have their settings. Source: the class comment
 * of java.util.Properties#load.
 */

/** Settings by Kafka's names, e.g. `bootstrap.servers`. */
export type KafkaProperties = Readonly<Record<string, string>>

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

/** The settings of a file's text; the last one of a name holds. */
export function parseProperties(text: string): KafkaProperties {
  const settings: Record<string, string> = {}
  for (const line of logicalLines(text)) {
    const [, name = '', value = ''] = /^((?:\\.|[^\\:=\s])*)\s*[:=]?\s*(.*)$/su.exec(line) ?? []
    settings[unescaped(name)] = unescaped(value)
  }
  return settings
}

/** Lines without comments and blank ones; one that ends in an odd number of backslashes goes on in the next. */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = []
  let begun: string | undefined
  for (const raw of text.split(/\r\n|\r|\n/)) {
    const line = raw.trimStart()
    if (begun === undefined && (line === '' || line.startsWith('#') || line.startsWith('!')))
      continue
    const whole = (begun ?? '') + line
    const slashes = /\\*$/.exec(whole)?.[0].length ?? 0
    begun = slashes % 2 === 1 ? whole.slice(0, -1) : undefined
    if (begun === undefined) lines.push(whole)
  }
  return begun === undefined ? lines : [...lines, begun]
}

function unescaped(text: string): string {
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|(.))/gsu,
    (_, unit: string | undefined, one: string) =>
      unit === undefined ? (ESCAPES[one] ?? one) : String.fromCharCode(Number.parseInt(unit, 16)),
  )
}
