/**
 * The classes of a Kafka broker as Java keeps them in memory, written to a file once: every start that
 * is given the file takes half the time and processor, and a run starts dozens. It lies beside the
 * jars. Without it, or where it does not fit the Java that is there, everything works as well.
 */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { TestCluster } from './broker.ts'
import { classArchive, kafkaProgram, type KafkaVersion } from './program.ts'

/** Writes the archive of a version where it is not there yet: a broker starts for it, and is stopped. */
export async function archiveClasses(version: KafkaVersion): Promise<void> {
  const archive = classArchive(await kafkaProgram(version))
  if (existsSync(archive)) return
  const written = `${archive}.${process.pid}`
  try {
    await using cluster = await TestCluster.start({ version, writeArchive: written })
    await cluster.node(1).stop()
    // Whole or not at all.
    await rename(written, archive)
  } catch (error) {
    await rm(written, { force: true })
    console.warn(`Kafka ${version} starts without an archive of its classes: ${String(error)}`)
  }
}
