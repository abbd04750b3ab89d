"""A relay that runs with a file, which the test rewrites."""

from program import hvrelay


class Service:
    def __init__(self, relays, folder):
        self.path = f"{folder}/hvrelay.conf"
        self.control = f"{folder}/control.sock"
        self.relays = relays
        self.folder = folder
        self.program = ""
        self.relay = None

    def write(self, forwards, program=None, control=True):
        """`forwards`: {name: (listen, connect, more lines...)}; `program`: as before, or lines."""
        if program is not None:
            self.program = program
        with open(self.path, "w") as file:
            file.write("[hvrelay]\n" + self.program + "\n")
            if control:
                file.write(f"control = unix:{self.control}\n")
            for name, (where, target, *more) in forwards.items():
                file.write(f"[forward {name}]\nlisten = {where}\nconnect = {target}\n")
                file.write("".join(line + "\n" for line in more))

    def start(self, forwards, program=None, **options):
        self.write(forwards, program)
        self.relay = self.relays.start("run", "-c", self.path, **options).wait_ready()
        return self.relay

    def reload(self):
        done = hvrelay("reload", "-c", self.path)
        if done.returncode != 0 and self.relay:
            self.relay.expect("error: reload: ")
        return done

    def change(self, forwards, program=None):
        """Writes the file and reloads, which must succeed without a word."""
        self.write(forwards, program)
        done = self.reload()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
