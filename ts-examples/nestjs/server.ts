/**
 * A NestJS backend: a controller that records signals, closes them by price and returns statistics. The error code decides the HTTP status.
 *
 *     npx tsx nestjs/server.ts
 */
import 'reflect-metadata'
import { Body, Catch, Controller, Get, HttpCode, Inject, Module, Post, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common'
import { BaseExceptionFilter, HttpAdapterHost, NestFactory } from '@nestjs/core'
import type { Response } from 'express'
import type { AssessInput, SignalInput } from 'signalloop'
import { SignalLoopModule, SignalLoopService } from './signalloop.module'

@Controller()
class SignalsController {
  constructor(@Inject(SignalLoopService) private readonly loop: SignalLoopService) {}

  @Post('signals')
  record(@Body() signal: SignalInput) {
    return this.loop.feedbackTracker.recordSignal(signal)
  }

  @Post('assess')
  @HttpCode(200)
  assess(@Body() signal: AssessInput) {
    return this.loop.feedbackTracker.assess(signal)
  }

  @Post('prices')
  @HttpCode(200)
  price(@Body() { pair, price }: { pair: string; price: number }) {
    return this.loop.feedbackTracker.onPrice(pair, price)
  }

  @Get('stats')
  stats() {
    return this.loop.feedbackTracker.getStats()
  }
}

/** Answers signalloop's errors with their code; Nest answers all others. */
@Catch()
class ErrorCodes extends BaseExceptionFilter implements ExceptionFilter {
  override catch(error: Error & { code?: string }, host: ArgumentsHost): void {
    const { code, message } = error
    if (!code?.startsWith('ERR_')) {
      super.catch(error, host)
      return
    }
    const status = code.startsWith('ERR_INVALID') ? 400 : code === 'ERR_SIGNAL_CONFLICT' ? 409 : 500
    host.switchToHttp().getResponse<Response>().status(status).json({ code, message })
  }
}

@Module({ imports: [SignalLoopModule], controllers: [SignalsController] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
  app.useGlobalFilters(new ErrorCodes(app.get(HttpAdapterHost).httpAdapter))
  app.enableShutdownHooks()
  await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1')
  console.log(`listening on ${await app.getUrl()}`)
}

void main()
