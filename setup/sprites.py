"""Takes the sprites of the scenes from two icon sets of the npm registry into data/sprites/.

Usage: python3 setup/sprites.py        (needs npm; run once, its result is committed)
Source: @iconify-json/noto 1.2.9 (Noto Emoji, Google, Apache-2.0), drawn with shading;
        @iconify-json/fluent-emoji-flat 1.2.6 (Fluent Emoji, Microsoft, MIT), drawn flat.
The third style, bold outlines, is drawn around the flat one by src/world/sprites.cpp.
"""
import json
import pathlib
import subprocess
import tarfile
import tempfile

SETS = {"shaded": ("@iconify-json/noto@1.2.9", "Noto Emoji, Google", "Apache-2.0"),
        "flat": ("@iconify-json/fluent-emoji-flat@1.2.6", "Fluent Emoji, Microsoft", "MIT")}

# kind → things; "thing=icon" where the set's name is another.
KINDS = {
    "animal": "dog cat horse cow pig sheep=ewe elephant lion tiger bear panda rabbit fox frog penguin owl "
              "duck turtle snail zebra giraffe monkey donkey mouse rooster dinosaur=sauropod spider",
    "flyer": "bird butterfly bee=honeybee",
    "swimmer": "fish whale dolphin octopus shark crab",
    "food": "apple=red-apple pear orange=tangerine lemon banana strawberry pineapple watermelon tomato "
            "pumpkin=jack-o-lantern broccoli carrot bread hamburger hot_dog=hot-dog pizza sandwich doughnut "
            "cake=birthday-cake wine_glass=wine-glass teapot cup=hot-beverage mushroom",
    "vehicle": "car=automobile bus truck=delivery-truck bicycle motorcycle train=locomotive boat=sailboat",
    "aircraft": "airplane helicopter rocket balloon",
    "object": "book=closed-book laptop cell_phone=mobile-phone clock=mantelpiece-clock umbrella "
              "vase=amphora chair couch=couch-and-lamp backpack suitcase=luggage guitar hat=top-hat crown "
              "gift=wrapped-gift teddy_bear=teddy-bear ball=soccer-ball robot "
              "snowman=snowman-without-snow key light_bulb=light-bulb spoon tennis_racket=tennis "
              "stop_sign=stop-sign traffic_light=vertical-traffic-light toilet scissors",
    "plant": "tree=deciduous-tree pine_tree=evergreen-tree palm_tree=palm-tree cactus sunflower rose tulip "
             "flower_pot=potted-plant",
    "building": "house castle",
    "sky": "sun moon=crescent-moon star cloud rainbow",
}


def icons(package: str, folder: pathlib.Path) -> dict:
    name = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True,
                          capture_output=True, text=True).stdout.strip()
    with tarfile.open(folder / name) as archive:
        return json.load(archive.extractfile("package/icons.json"))


def svg(icon_set: dict, name: str) -> str:
    icon = icon_set["icons"][icon_set.get("aliases", {}).get(name, {}).get("parent", name)]
    width = icon.get("width", icon_set.get("width"))
    height = icon.get("height", icon_set.get("height"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>')


def main() -> None:
    out = pathlib.Path(__file__).parent.parent / "data" / "sprites"
    with tempfile.TemporaryDirectory() as temporary:
        for style, (package, author, licence) in SETS.items():
            icon_set = icons(package, pathlib.Path(temporary))
            sprites = {}
            for kind, things in KINDS.items():
                for entry in things.split():
                    thing, _, icon = entry.partition("=")
                    sprites[thing.replace("_", " ")] = {"kind": kind, "icon": icon or thing,
                                                        "svg": svg(icon_set, icon or thing)}
            about = {"source": package, "author": author, "licence": licence, "sprites": sprites}
            text = json.dumps(about, indent=0, ensure_ascii=False)
            (out / f"{style}.json").write_text(text + "\n")
            print(f"{style}: {len(sprites)} things, {len(text) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
