/** signalloop as a module of NestJS: it opens the loop, hands it to who injects it, and closes it with the application. */
import { Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { SignalLoop, type LoopEvent } from 'signalloop'

@Injectable()
export class SignalLoopService extends SignalLoop implements OnModuleInit, OnApplicationShutdown {
  onModuleInit(): void {
    this.onEvent((event: LoopEvent) => {
      if (event.type === 'signalClosed') console.log(`${event.signal.id}: ${event.signal.outcome}`)
    })
    if (process.env.SCHEDULER === 'on') this.startScheduler()
  }

  /** Waits for what is under way. Nest calls it only after `app.enableShutdownHooks()`. */
  async onApplicationShutdown(): Promise<void> {
    await this.close()
    console.log('the loop is closed')
  }
}

const loop = { provide: SignalLoopService, useFactory: () => new SignalLoopService({ home: process.env.SIGNALLOOP_HOME ?? './ml' }) }

@Module({ providers: [loop], exports: [loop] })
export class SignalLoopModule {}
