/**
 * Text on a terminal. What comes from outside (names of files, values of records) may carry control
 * sequences that move the cursor or rewrite the screen; they are shown, not obeyed.
 */

/** Whether a code point takes two cells: CJK, Hangul, full-width forms and pictures (Unicode's East Asian Width W and F, by block). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u
const COMBINING = /\p{Mn}|\p{Me}|\p{Cf}/u
// eslint-disable-next-line no-control-regex -- they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** `text` with each control character as its code, `\x1b`. */
export function visible(text: string): string {
  return text.replace(CONTROL, (character) => {
    const code = character.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** The cells that `text` takes on a terminal. */
export function cellWidth(text: string): number {
  let cells = 0
  for (const character of text) cells += cellsOf(character)
  return cells
}

/** `text` in at most `cells` cells; what is cut off leaves an ellipsis. */
export function cut(text: string, cells: number): string {
  if (cellWidth(text) <= cells) return text
  let kept = ''
  let used = 1
  for (const character of text) {
    used += cellsOf(character)
    if (used > cells) break
    kept += character
  }
  return cells < 1 ? '' : `${kept}…`
}

/** `text` in exactly `cells` cells. */
export function fit(text: string, cells: number): string {
  const short = cut(text, cells)
  return short + ' '.repeat(Math.max(0, cells - cellWidth(short)))
}

function cellsOf(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
