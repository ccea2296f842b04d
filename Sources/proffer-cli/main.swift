import ProfferCommands

await ProfferCommand.execute()
