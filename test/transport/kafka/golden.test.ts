import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { REQUESTS } from './golden-requests.ts'
import { RESPONSES } from './golden-responses.ts'

const messages = readFileSync(`${import.meta.dirname}/golden-messages.txt`, 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' '))
  .map(([name = '', version, hex = '']) => ({ name, version: Number(version), hex }))

const requests = messages.filter(({ name }) => name.endsWith('Request'))
const responses = messages.filter(({ name }) => name.endsWith('Response'))

describe('what Kafka writes', () => {
  test.each(requests)('$name of version $version is what we write', ({ name, version, hex }) => {
    const write = REQUESTS.get(name)
    expect(write).toBeDefined()
    expect(write?.(version).toString('hex')).toBe(hex)
  })

  test.each(responses)('$name of version $version is what we read', ({ name, version, hex }) => {
    const golden = RESPONSES.get(name)
    expect(golden).toBeDefined()
    const { response, left } = golden?.read(version, Buffer.from(hex, 'hex')) ?? {}
    expect(response).toEqual(golden?.expected(version))
    expect(left).toBe(0)
  })

  test.each(responses)('$name of version $version cut short is a RangeError', (message) => {
    const { name, version, hex } = message
    const bytes = Buffer.from(hex, 'hex')
    for (let end = 0; end < bytes.length; end += 1) {
      expect(() => RESPONSES.get(name)?.read(version, bytes.subarray(0, end))).toThrow(RangeError)
    }
  })

  test('every pair is among it', () => {
    const told = new Set(messages.map(({ name }) => name))
    expect([...REQUESTS.keys(), ...RESPONSES.keys()].filter((name) => !told.has(name))).toEqual([])
  })
})
