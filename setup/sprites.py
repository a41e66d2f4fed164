"""Takes the sprites of the scenes from three emoji sets of the npm registry into data/sprites/.

Usage: .venv/bin/python setup/sprites.py  (needs npm and Pillow; run once, its result is committed)
Source: @iconify-json/noto 1.2.9 (Noto Emoji, Google, Apache-2.0), drawn with shading, as SVG;
        @iconify-json/fluent-emoji-flat 1.2.6 (Fluent Emoji, Microsoft, MIT), drawn flat, as SVG;
        @lobehub/fluent-emoji-3d 1.1.0 (Fluent Emoji, Microsoft, MIT), rendered in 3D, in one WebP picture.
Bold outlines are drawn around the flat ones by src/world/sprites.cpp.
"""
import json
import pathlib
import subprocess
import tarfile
import tempfile

from PIL import Image

VECTOR = {"noto": ("@iconify-json/noto@1.2.9", "Noto Emoji, Google", "Apache-2.0"),
          "fluent_flat": ("@iconify-json/fluent-emoji-flat@1.2.6", "Fluent Emoji, Microsoft", "MIT")}
RENDERED = ("@lobehub/fluent-emoji-3d@1.1.0", "Fluent Emoji, Microsoft", "MIT")
CELL, COLUMNS = 112, 15  # of the picture that holds all rendered things

# kind → things; "thing=icon" where the set's name is another.
KINDS = {
    "animal": "dog cat horse cow pig sheep=ewe elephant lion tiger bear panda rabbit fox frog penguin owl "
              "duck turtle snail zebra giraffe monkey donkey mouse rooster dinosaur=sauropod spider "
              "deer camel=two-hump-camel kangaroo koala hippo=hippopotamus rhino=rhinoceros hedgehog "
              "squirrel=chipmunk wolf snake crocodile flamingo swan ladybug=lady-beetle seal parrot",
    "flyer": "bird butterfly bee=honeybee bat eagle",
    "swimmer": "fish whale dolphin octopus shark crab jellyfish lobster",
    "food": "apple=red-apple pear orange=tangerine lemon banana strawberry pineapple watermelon tomato "
            "pumpkin=jack-o-lantern broccoli carrot bread hamburger hot_dog=hot-dog pizza sandwich doughnut "
            "cake=birthday-cake wine_glass=wine-glass teapot cup=hot-beverage mushroom "
            "peach avocado eggplant corn=ear-of-corn bell_pepper=bell-pepper potato croissant pretzel "
            "cheese=cheese-wedge french_fries=french-fries taco egg popcorn ice_cream=soft-ice-cream cupcake "
            "cookie grapes",
    "vehicle": "car=automobile bus truck=delivery-truck bicycle motorcycle train=locomotive boat=sailboat "
               "taxi fire_truck=fire-engine ambulance tractor scooter=motor-scooter skateboard "
               "racing_car=racing-car",
    "boat": "ship",
    "aircraft": "airplane helicopter rocket balloon kite flying_saucer=flying-saucer",
    "object": "book=closed-book laptop cell_phone=mobile-phone clock=mantelpiece-clock umbrella "
              "vase=amphora chair couch=couch-and-lamp backpack suitcase=luggage guitar hat=top-hat crown "
              "gift=wrapped-gift teddy_bear=teddy-bear ball=soccer-ball robot "
              "snowman=snowman-without-snow key light_bulb=light-bulb spoon tennis_racket=tennis "
              "stop_sign=stop-sign traffic_light=vertical-traffic-light toilet scissors "
              "camera television telephone watch hourglass=hourglass-not-done "
              "telescope magnifying_glass=magnifying-glass-tilted-left candle pencil envelope hammer axe "
              "ladder bucket anchor bell drum trumpet violin trophy basketball baseball diamond=gem-stone "
              "ring sunglasses shirt=t-shirt dress shoe=running-shoe boot=hiking-boot cap=billed-cap "
              "handbag bed door toothbrush knife=kitchen-knife padlock=locked shield skull ghost",
    "plant": "tree=deciduous-tree pine_tree=evergreen-tree palm_tree=palm-tree cactus sunflower rose tulip "
             "flower_pot=potted-plant maple_leaf=maple-leaf hibiscus bouquet christmas_tree=christmas-tree rock",
    "building": "house castle church tent hut factory ferris_wheel=ferris-wheel circus_tent=circus-tent "
                "fountain",
    "sky": "sun moon=crescent-moon star cloud rainbow planet=ringed-planet lightning_bolt=high-voltage "
           "snowflake",
}
THINGS = [(entry.partition("=")[0].replace("_", " "), entry.partition("=")[2] or entry, kind)
          for kind, entries in KINDS.items() for entry in entries.split()]


def packed(package: str, folder: pathlib.Path) -> tarfile.TarFile:
    name = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True,
                          capture_output=True, text=True).stdout.strip()
    return tarfile.open(folder / name)


def member(archive: tarfile.TarFile, name: str) -> dict:
    return json.load(archive.extractfile(f"package/{name}.json"))


def own_name(icon_set: dict, name: str) -> str:
    return icon_set.get("aliases", {}).get(name, {}).get("parent", name)


def svg(icon_set: dict, name: str) -> str:
    icon = icon_set["icons"][own_name(icon_set, name)]
    width = icon.get("width", icon_set.get("width"))
    height = icon.get("height", icon_set.get("height"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>')


def write(path: pathlib.Path, about: tuple, **content) -> None:
    source, author, licence = about
    whole = {"source": source, "author": author, "licence": licence, **content}
    path.write_text(json.dumps(whole, indent=0, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(content['sprites'])} things, {path.stat().st_size / 1e6:.2f} MB")


def write_rendered(out: pathlib.Path, archive: tarfile.TarFile, code_points: dict) -> None:
    """All rendered things in one picture, row by row; files of that set are named by code points."""
    files = {pathlib.Path(name).stem.replace("-fe0f", ""): name
             for name in archive.getnames() if name.endswith(".webp")}
    rows = -(-len(THINGS) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    sprites = {}
    for number, (thing, icon, kind) in enumerate(THINGS):
        with archive.extractfile(files[code_points[icon].replace("-fe0f", "")]) as file:
            picture = Image.open(file).convert("RGBA").resize((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(picture, (number % COLUMNS * CELL, number // COLUMNS * CELL))
        sprites[thing] = {"kind": kind, "icon": icon, "cell": number}
    sheet.save(out / "fluent_3d.webp", quality=66, method=6, alpha_quality=60)
    write(out / "fluent_3d.json", RENDERED, picture="fluent_3d.webp", cell=CELL, columns=COLUMNS, sprites=sprites)


def main() -> None:
    out = pathlib.Path(__file__).parent.parent / "data" / "sprites"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name, about in VECTOR.items():
            archive = packed(about[0], folder)
            icon_set = member(archive, "icons")
            write(out / f"{name}.json", about,
                  sprites={thing: {"kind": kind, "icon": icon, "svg": svg(icon_set, icon)}
                           for thing, icon, kind in THINGS})
            if name == "noto":
                parents = {icon: own_name(icon_set, icon) for _, icon, _ in THINGS}
                of_name = {icon: code for code, icon in member(archive, "chars").items()}
                code_points = {icon: of_name[parent] for icon, parent in parents.items()}
        write_rendered(out, packed(RENDERED[0], folder), code_points)


if __name__ == "__main__":
    main()
