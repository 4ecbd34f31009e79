"""Every GraphQL document that the demo sends.

A mutation answers with a union: the thing, or a refusal that says what was wrong.
"""

VIEWER = "query Viewer { viewer { name email } }"

CREATE_PROJECT = """
mutation CreateProject($input: CreateProjectInput!) {
  answer: createProject(input: $input) { ... on Project { id } ... on Refusal { code message } }
}
"""

CREATE_UPLOAD = """
mutation CreateUpload($input: CreateUploadInput!) {
  answer: createUpload(input: $input) {
    ... on Upload { id parts { number offset size url } }
    ... on Refusal { code message }
  }
}
"""

COMPLETE_UPLOAD = """
mutation CompleteUpload($input: CompleteUploadInput!) {
  answer: completeUpload(input: $input) { ... on Asset { id } ... on Refusal { code message } }
}
"""

PROJECT_EVENTS = """
subscription ProjectEvents($projectId: ID!, $after: String) {
  answer: projectEvents(projectId: $projectId, after: $after) {
    kind
    subjectId
    subject { ... on Asset { name rejection } ... on Job { error { message } } }
  }
}
"""

SET_TIMELINE = """
mutation SetTimeline($input: SetTimelineInput!) {
  answer: setTimeline(input: $input) {
    ... on Project { timelineVersion }
    ... on TimelineInvalid { problems { path message } }
    ... on Refusal { code message }
  }
}
"""

START_RENDER = """
mutation StartRender($input: StartRenderInput!) {
  answer: startRender(input: $input) { ... on Job { id } ... on Refusal { code message } }
}
"""

JOB = """
subscription Job($id: ID!) {
  answer: job(id: $id) {
    state
    progress { stage fraction frames totalFrames fps speed etaSeconds }
    error { message }
    asset { name size sha256 downloadUrl }
    verification { spans encoded }
  }
}
"""
