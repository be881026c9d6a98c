#!/bin/sh
# Makes the clips that the simulated cameras show: clips.sh OUTDIR
#
#   clip-0.h264 … clip-5.h264  640x360, 25 fps, about 1 Mbit/s, constrained baseline, a keyframe a second: what
#                              cameras of a control room are set to
#   bframes.h264               main profile with B-frames: WHIP refuses it (research/whip-lab.md)
#   longgop.h264               a keyframe every 10 s
#   heavy.h264                 as the first, with noise, about 4 Mbit/s: what a stream of a higher rate costs
#   h265.h265                  H.265, which browsers get no picture from
#
# Every clip is whole GOPs long and its GOPs are closed, so that its end can be followed by its start. A clip that is
# there already is kept: remove OUTDIR to make them anew. Needs ffmpeg with libx264 and libx265.
set -eu

out=${1:?usage: clips.sh OUTDIR}
mkdir -p "$out"

# The picture's name in a corner, where FFmpeg can draw text and a font is installed.
font=
for candidate in /usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf /usr/share/fonts/dejavu/DejaVuSans-Bold.ttf \
    /usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf; do
    if [ -z "$font" ] && [ -r "$candidate" ]; then font=$candidate; fi
done
if ! ffmpeg -hide_banner -v error -filters 2>/dev/null | grep -q ' drawtext '; then font=; fi

label() {
    if [ -n "$font" ]; then
        printf ',drawtext=fontfile=%s:text=%s:x=12:y=h-36:fontsize=22:fontcolor=white:box=1:boxcolor=black@0.5:boxborderw=6' \
            "$font" "$1"
    fi
}

# make FILE MUXER SECONDS PICTURE TEXT ENCODER-ARGUMENTS…
make() {
    file=$out/$1 muxer=$2 seconds=$3 picture=$4 text=$5
    shift 5
    if [ -s "$file" ]; then return; fi
    # Written beside and renamed: an interrupted run leaves no half clip behind.
    ffmpeg -hide_banner -nostdin -v error -y -f lavfi -i "$picture" -t "$seconds" \
        -vf "scale=640:360:flags=neighbor,fps=25,format=yuv420p$(label "$text")" \
        "$@" -f "$muxer" "$file.part"
    mv "$file.part" "$file"
}

x264() {
    printf '%s' "-c:v libx264 -preset veryfast -b:v 1M -maxrate 1M -bufsize 1M -sc_threshold 0 -flags +cgop"
}

baseline="$(x264) -profile:v baseline -bf 0 -refs 1 -g 25 -keyint_min 25"

# shellcheck disable=SC2086  # the encoder's arguments are words
{
    make clip-0.h264 h264 12 'testsrc2=size=640x360:rate=25' 'VIEW A' $baseline
    make clip-1.h264 h264 12 'mandelbrot=size=640x360:rate=25:end_scale=0.02:end_pts=300' 'VIEW B' $baseline
    make clip-2.h264 h264 12 'life=size=160x90:rate=25:mold=10:ratio=0.35:seed=7:death_color=#203060:life_color=#e0f0a0:mold_color=#305090' \
        'VIEW C' $baseline
    make clip-3.h264 h264 12 'gradients=size=640x360:rate=25:speed=0.03:nb_colors=6:seed=11' 'VIEW D' $baseline
    make clip-4.h264 h264 12 'mandelbrot=size=640x360:rate=25:start_x=-0.743643887:start_y=0.131825904:start_scale=0.5:end_scale=0.0004:end_pts=300,hue=h=150' \
        'VIEW E' $baseline
    make clip-5.h264 h264 12 'smptehdbars=size=640x360:rate=25,rotate=a=t*PI/6:fillcolor=#102030,scroll=horizontal=0.004' \
        'VIEW F' $baseline
    make bframes.h264 h264 12 'testsrc2=size=640x360:rate=25' 'B-FRAMES' \
        $(x264) -profile:v main -bf 2 -g 25 -keyint_min 25 -x264-params b-adapt=0:open-gop=0
    make longgop.h264 h264 20 'testsrc2=size=640x360:rate=25' 'GOP 10 s' \
        $(x264) -profile:v baseline -bf 0 -refs 1 -g 250 -keyint_min 250
    make heavy.h264 h264 12 'testsrc2=size=640x360:rate=25,noise=alls=40:allf=t' '4 MBIT' \
        $baseline -b:v 4M -maxrate 4M -bufsize 4M
    make h265.h265 hevc 12 'testsrc2=size=640x360:rate=25' 'H.265' \
        -c:v libx265 -preset ultrafast -b:v 1M -x265-params log-level=none:bframes=0:keyint=25:min-keyint=25:scenecut=0:open-gop=0
}
